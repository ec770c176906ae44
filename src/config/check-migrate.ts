/** What the schema cannot say of the limits of copying. */
import type { Problem } from '../base/problem.ts'
import { parseWindow, windowForm } from '../base/window.ts'
import { type Locate, type Path, problem } from './locate.ts'
import type { RawConfig } from './schema.ts'
import { parseSizeBytes } from './unit.ts'

type RawLimits = NonNullable<RawConfig['backends'][string]['migrate']>

export function checkMigrate({ backends, migrate }: RawConfig, locate: Locate): Problem[] {
  const given: [Path, RawLimits | undefined][] = Object.entries(backends).map(([name, backend]) => [
    ['backends', name, 'migrate'],
    backend.migrate,
  ])
  given.push([['migrate', 'outside'], migrate?.outside])
  return [...checkWindows(migrate?.windows ?? [], locate), ...checkLimits(given, locate)]
}

function checkLimits(given: readonly [Path, RawLimits | undefined][], locate: Locate): Problem[] {
  return given.flatMap(([path, limits = {}]) =>
    (['bytes_per_second', 'bytes_per_day'] as const)
      .filter((key) => limits[key] !== undefined && parseSizeBytes(limits[key]) === 0)
      .map((key) => {
        const own = [...path, key]
        const hint = 'leave it out for no limit'
        const what = `${own.join('.')}: with 0 nothing could ever be copied`
        return problem('bad-limit', what, locate(own, true), hint)
      }),
  )
}

function checkWindows(windows: readonly string[], locate: Locate): Problem[] {
  return windows.flatMap((text, index) => {
    if (parseWindow(text) !== undefined) return []
    const what = `migrate.windows.${index}: ${JSON.stringify(text)} is no window`
    return [problem('bad-window', what, locate(['migrate', 'windows', index], true), windowForm)]
  })
}
