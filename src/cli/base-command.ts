/**
 * What every command shares: `--config` and `--json`, and how a failure is shown: one line for a
 * person (what, where, what to do), under `--json` an object with a stable code, the exit status of
 * the error catalogue.
 */
import { Command, Flags } from '@oclif/core'
import { MailmuxError, messageOf } from '../base/error.ts'
import { type ErrorJson, problemsOf, toErrorJson } from '../base/error-json.ts'
import { formatProblem, type Problem } from '../base/problem.ts'
import type { Config } from '../config/config.ts'
import { printable } from './printable.ts'
import { errorStyle } from './style.ts'

const linesAtOnce = 1024

export abstract class MailmuxCommand extends Command {
  #lines: string[] = []
  #isDoubtful = false

  static override enableJsonFlag = true

  static override baseFlags = {
    config: Flags.string({
      char: 'c',
      summary: 'Config file.',
      description: 'Else $MAILMUX_CONFIG, ./mailmux.yaml, /etc/mailmux/mailmux.yaml.',
      helpValue: 'FILE',
    }),
  }

  /** Reads the config that the flags name; warnings go to stderr. */
  protected async loadConfig(flags: { readonly config?: string | undefined }): Promise<Config> {
    const { findConfig, loadConfig } = await import('../config/load.ts')
    const { config, warnings } = await loadConfig(await findConfig(flags.config))
    this.warnOf(warnings)
    return config
  }

  /** As `loadConfig`; undefined where no file is named and none is in its places. */
  protected async loadConfigIfAny(flags: {
    readonly config?: string | undefined
  }): Promise<Config | undefined> {
    try {
      return await this.loadConfig(flags)
    } catch (error) {
      const isNone = error instanceof MailmuxError && error.code === 'CONFIG_NOT_FOUND'
      if (isNone && flags.config === undefined) return undefined
      throw error
    }
  }

  override log(message = '', ...more: unknown[]): void {
    super.log(onTerminal(message), ...more)
  }

  /** Prints lines for a person on stderr. */
  protected tell(...lines: readonly string[]): void {
    for (const line of lines) process.stderr.write(`${printable(line)}\n`)
  }

  /** Prints findings on stderr, a line each; `count`: with those that there was no room to keep. */
  protected warnOf(problems: readonly Problem[], count = problems.length): void {
    this.tell(...problems.map(paintProblem))
    const more = count - problems.length
    if (more > 0) this.tell(`and ${more} more warnings`)
  }

  /**
   * Prints on stderr why what the command says may be old; it ends with 75 where all else went well,
   * since a script that took the answer for certain could send mail to where a user was.
   */
  protected doubt(failure: MailmuxError): void {
    this.tell(`${errorStyle.yellow('warning:')} ${failure.located}; ${failure.hint}`)
    this.#isDoubtful = true
  }

  /** Prints a failure as that of a command which ends by it, on stderr. */
  protected printFailure(failure: MailmuxError): void {
    this.tell(describeFailure(failure))
  }

  /** The end of a command that failed and has found something all the same: `--json` gives both. */
  protected failWith<Report extends object>(
    failure: MailmuxError,
    report: Report,
  ): Report & ErrorJson {
    if (!this.jsonEnabled()) throw failure
    process.exitCode = failure.exitCode
    return { ...report, ...toErrorJson(failure) }
  }

  /** A line of a long list: gathered, and no faster than the reader of stdout. */
  protected async printLine(line: string): Promise<void> {
    this.#lines.push(line)
    if (this.#lines.length >= linesAtOnce) await this.flushLines()
  }

  /** Writes what `printLine` has gathered. */
  protected async flushLines(): Promise<void> {
    if (this.#lines.length === 0) return
    const text = onTerminal(`${this.#lines.join('\n')}\n`)
    this.#lines = []
    if (process.stdout.write(text)) return
    await new Promise((resolve) => process.stdout.once('drain', resolve))
  }

  /** A signal that ends what is under way in order, at the first SIGINT or SIGTERM. */
  protected untilInterrupted(): Disposable & { readonly signal: AbortSignal } {
    const ended = new AbortController()
    const end = (): void => ended.abort(new Error('interrupted'))
    process.once('SIGINT', end).once('SIGTERM', end)
    return {
      signal: ended.signal,
      [Symbol.dispose]() {
        process.off('SIGINT', end).off('SIGTERM', end)
      },
    }
  }

  /** Says what became of a change; `already`: what is so where there was nothing to change. */
  protected reportChange(
    report: {
      readonly key: string
      readonly generation?: number
      readonly warnings: readonly string[]
    },
    already: string,
  ): void {
    if (!this.jsonEnabled()) {
      for (const text of report.warnings) this.tell(`${errorStyle.yellow('warning:')} ${text}`)
    }
    const { key, generation } = report
    this.log(
      generation === undefined ? `${key} ${already}` : `${key}: done, generation ${generation}`,
    )
  }

  protected override async catch(thrown: Error & { exitCode?: number }): Promise<unknown> {
    // oclif ends commands with errors of its own: exit requests and wrong usage.
    if ('oclif' in thrown && !(thrown instanceof MailmuxError)) return this.#catchUsage(thrown)
    const failure =
      thrown instanceof MailmuxError
        ? thrown
        : new MailmuxError('INTERNAL', messageOf(thrown), { cause: thrown })
    process.exitCode = failure.exitCode
    if (this.jsonEnabled()) this.logJson(toErrorJson(failure))
    else this.printFailure(failure)
    if (failure.code === 'INTERNAL' && process.env['DEBUG'])
      process.stderr.write(`${thrown.stack}\n`)
    return undefined
  }

  protected override async finally(failure: Error | undefined): Promise<void> {
    if (this.#isDoubtful && (process.exitCode ?? 0) === 0) process.exitCode = 75
    await super.finally(failure)
  }

  #catchUsage(thrown: Error): Promise<unknown> {
    const { oclif } = thrown as Error & { oclif?: { exit?: number } }
    if (!this.jsonEnabled() || oclif?.exit === 0) return super.catch(thrown)
    process.exitCode = oclif?.exit ?? 2
    this.logJson({ error: { code: 'USAGE', message: thrown.message } } satisfies ErrorJson)
    return Promise.resolve(undefined)
  }
}

/** What goes into a file or a pipe stays as it is. */
function onTerminal(text: string): string {
  return process.stdout.isTTY ? printable(text) : text
}

function describeFailure(failure: MailmuxError): string {
  const problems = problemsOf(failure)
  // The last line of a longer text sums up the lines before it.
  const text = (problems === undefined ? failure.located : failure.message).split('\n')
  const lines = problems?.map(paintProblem) ?? text.slice(0, -1)
  const summary = text.at(-1)
  return [...lines, `${errorStyle.red('mailmux:')} ${summary}; ${failure.hint}`].join('\n')
}

function paintProblem(problem: Problem): string {
  const paint = problem.severity === 'error' ? errorStyle.red : errorStyle.yellow
  return formatProblem(problem).replace(`${problem.severity}:`, paint(`${problem.severity}:`))
}
