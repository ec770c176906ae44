/** What is served at `listen.metrics`: /metrics, /livez and /readyz. */
import { coalesce } from '../coalesce.ts'
import type { Exposition, Format, Sample } from './exposition.ts'
import { type Page, type Pages, plain } from './http.ts'

export interface Check {
  readonly name: string
  readonly ok: boolean
  readonly text: string
}

export interface Sources {
  /** As of now. */
  sample(): Promise<Sample>
  /** What must hold for clients to be sent here. */
  checks(): readonly Check[]
}

export function metricsPages(sources: Sources): Pages {
  const writers = new Map<Format, () => Promise<Page>>()
  const writer = (format: Format): (() => Promise<Page>) => {
    const known = writers.get(format) ?? coalesce(makeWriter(sources, format))
    writers.set(format, known)
    return known
  }
  return {
    '/metrics': (accept) => writer(formatFor(accept))(),
    '/livez': (accept) => checkPage([{ name: 'supervisor', ok: true, text: 'answers' }], accept),
    '/readyz': (accept) => checkPage(sources.checks(), accept),
  }
}

/** Who asks at the same time gets the same numbers; the library is loaded by the first who asks. */
function makeWriter(sources: Sources, format: Format): () => Promise<Page> {
  let exposition: Exposition | undefined
  return async () => {
    if (exposition === undefined) {
      const library = await import('./exposition.ts')
      exposition = new library.Exposition(format)
    }
    const written = await exposition.write(await sources.sample())
    return { status: 200, ...written }
  }
}

function formatFor(accept: string): Format {
  return accept.includes('application/openmetrics-text') ? 'openmetrics' : 'prometheus'
}

function checkPage(checks: readonly Check[], accept: string): Page {
  const ok = checks.every((check) => check.ok)
  const status = ok ? 200 : 503
  if (accept.includes('application/json')) {
    return { status, type: 'application/json', text: `${JSON.stringify({ ok, checks })}\n` }
  }
  const lines = checks.map(
    (check) => `${check.ok ? 'ok  ' : 'FAIL'} ${check.name}: ${check.text}\n`,
  )
  return plain(status, lines.join(''))
}
