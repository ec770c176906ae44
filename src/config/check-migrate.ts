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

/** Octets; with less nothing could be copied, or not in a lifetime. */
const least = 1024

function checkLimits(given: readonly [Path, RawLimits | undefined][], locate: Locate): Problem[] {
  return given.flatMap(([path, limits = {}]) =>
    (['bytes_per_second', 'bytes_per_day'] as const)
      .filter((key) => limits[key] !== undefined && parseSizeBytes(limits[key]) < least)
      .map((key) => {
        const own = [...path, key]
        const what = `${own.join('.')}: must be at least ${least} octets`
        return problem('bad-limit', what, locate(own, true), 'leave it out for no limit')
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
