/**
 * `build-map --watch`: builds, then waits until a source or the config is another, and builds again.
 * What a build finds wrong is told, and the map before stays in force; a daemon that runs is told to
 * take each new map. Sources that are no files (SQL, LDAP) are not watched: a build tells of those
 * that can be (`noteSource`).
 */
import { MailmuxError } from '../base/error.ts'
import { toErrorJson } from '../base/error-json.ts'
import type { Problem } from '../base/problem.ts'
import type { Config } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import { askDaemon } from '../control/client.ts'
import type { ReloadReport } from '../control/messages.ts'
import { type BuildOptions, type BuildReport, buildMap } from '../map/build.ts'
import { describeBuild } from '../map/describe-build.ts'
import { areEditsOfChanges } from '../map/state/follow-edits.ts'
import { signatureOf } from '../storage/file-signature.ts'
import { FileWatch } from '../storage/file-watch.ts'

/** What came of one build. */
export interface WatchedBuild {
  /** As `build-map` gives it, with what the running daemon said; or the failure. */
  readonly json: object
  readonly warnings: readonly Problem[]
  /** With those that there was no room to keep. */
  readonly warningCount: number
  readonly lines: readonly string[]
  readonly failures: readonly MailmuxError[]
}

export type ReportBuild = (build: WatchedBuild) => Promise<void>

/** Where the disk or another command was in the way, no source will change; milliseconds. */
const retryMs = 30_000
/** A large map is read twice, by the supervisor and by the workers. */
const reloadPatienceMs = 120_000

/**
 * Builds, and builds again, until SIGINT or SIGTERM. `file`: the config. Throws what is wrong with the
 * config at the start.
 */
export async function watchMap(
  file: string,
  options: Pick<BuildOptions, 'strict'>,
  report: ReportBuild,
): Promise<void> {
  const stop = new AbortController()
  const end = (): void => stop.abort()
  process.on('SIGINT', end).on('SIGTERM', end)
  try {
    using watch = new FileWatch({ signal: stop.signal })
    await new MapWatch(file, { ...options, signal: stop.signal }, watch).run(report)
  } catch (error) {
    if (!stop.signal.aborted) throw error
  } finally {
    process.off('SIGINT', end).off('SIGTERM', end)
  }
}

interface Built {
  readonly report: BuildReport
  readonly warnings: readonly Problem[]
}

class MapWatch {
  readonly #file: string
  readonly #options: BuildOptions & { readonly signal: AbortSignal }
  readonly #watch: FileWatch
  /** What each file was before it was read last. */
  #seen: ReadonlyMap<string, string> = new Map()
  #config: Config | undefined
  /** A watch that was ended may have published what no daemon was told of. */
  #owesReload = true

  constructor(
    file: string,
    options: BuildOptions & { readonly signal: AbortSignal },
    watch: FileWatch,
  ) {
    this.#file = file
    this.#options = { ...options, keepUnchanged: true }
    this.#watch = watch
  }

  async run(report: ReportBuild): Promise<void> {
    for (;;) {
      const built = await this.#build()
      this.#options.signal.throwIfAborted()
      const failure = built instanceof MailmuxError ? built : undefined
      await report(built instanceof MailmuxError ? failedBuild(built) : await this.#hand(built))
      await this.#waitForChange(failure)
    }
  }

  async #build(): Promise<Built | MailmuxError> {
    const read = new Map<string, string>()
    const noteSource = async (path: string): Promise<void> => {
      // Of what is read twice, the first counts: it may change in between.
      if (!read.has(path)) read.set(path, await signatureOf(path))
    }
    try {
      await noteSource(this.#file)
      const { config, warnings } = await loadConfig(this.#file)
      this.#config = config
      const report = await buildMap(config, { ...this.#options, noteSource })
      this.#seen = read
      return { report, warnings: [...warnings, ...report.warnings] }
    } catch (error) {
      this.#options.signal.throwIfAborted()
      if (!(error instanceof MailmuxError) || this.#config === undefined) throw error
      // It may have ended before all was read.
      this.#seen = new Map([...this.#seen, ...read])
      return error
    }
  }

  /** Lets the running daemon take the map. */
  async #hand({ report, warnings }: Built): Promise<WatchedBuild> {
    const reload = await this.#reload(report)
    const warningCount = report.warningCount - report.warnings.length + warnings.length
    const lines = [describeBuild(report)]
    const build = { json: report, warnings, warningCount, lines, failures: [] }
    if (reload === undefined) return build
    if (reload instanceof MailmuxError) {
      const json = { ...report, reloadError: toErrorJson(reload).error }
      return { ...build, json, failures: [reload] }
    }
    lines.push(`the daemon has taken generation ${reload.generation}`)
    return { ...build, json: { ...report, reload } }
  }

  /** Undefined where no daemon runs, or none has to be asked. */
  async #reload({ unchanged }: BuildReport): Promise<ReloadReport | MailmuxError | undefined> {
    if (this.#config === undefined || (unchanged && !this.#owesReload)) return undefined
    this.#owesReload = true
    const { signal } = this.#options
    try {
      const reload = await askDaemon(this.#config.runDir, 'reload', reloadPatienceMs, {
        signal,
      })
      this.#owesReload = false
      return reload
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof MailmuxError)) throw error
      return runsNone(error) ? undefined : error
    }
  }

  async #waitForChange(failure: MailmuxError | undefined): Promise<void> {
    const isTemporary = failure !== undefined && [73, 75].includes(failure.exitCode)
    for (;;) {
      const now = await this.#watch.change(this.#seen, isTemporary ? retryMs : undefined)
      if (failure !== undefined || !this.#isMadeByChanges(now)) return
      this.#seen = now
    }
  }

  /** Such changes are in force already. The config is another matter: it decides how sources are read. */
  #isMadeByChanges(now: ReadonlyMap<string, string>): boolean {
    const isConfigSame = now.get(this.#file) === this.#seen.get(this.#file)
    if (this.#config === undefined || !isConfigSame) return false
    return areEditsOfChanges(this.#config.stateDir, this.#seen, now)
  }
}

function failedBuild(failure: MailmuxError): WatchedBuild {
  return {
    json: toErrorJson(failure),
    warnings: [],
    warningCount: 0,
    lines: [],
    failures: [failure],
  }
}

function runsNone({ cause }: MailmuxError): boolean {
  return ['ENOENT', 'ECONNREFUSED'].includes(String((cause as NodeJS.ErrnoException)?.code))
}
