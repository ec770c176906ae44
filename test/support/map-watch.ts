/** A running `mailmux build-map --watch --json`: what it says of each build, to wait for. */
import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { createInterface } from 'node:readline'
import type { ErrorJson } from '../../src/base/error-json.ts'
import type { ReloadReport } from '../../src/control/messages.ts'
import type { BuildReport } from '../../src/map/build.ts'
import { bin } from './command.ts'

const patience = 20_000

export type BuiltJson = Partial<BuildReport> &
  Partial<ErrorJson> & { readonly reload?: ReloadReport; readonly reloadError?: ErrorJson['error'] }

export class MapWatch implements AsyncDisposable {
  readonly builds: BuiltJson[] = []
  /** The exit code, or the signal that it died of. */
  readonly ended: Promise<number | string>
  stderr = ''
  readonly #child: ChildProcess
  readonly #changes = new EventEmitter()
  #taken = 0
  #hasEnded = false

  constructor(configFile: string) {
    const args = [bin, 'build-map', '--watch', '--json', '--config', configFile]
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const { stdout, stderr } = this.#child
    if (stdout === null || stderr === null) throw new TypeError('no pipes')
    stderr.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString()
    })
    createInterface({ input: stdout }).on('line', (line) => {
      this.builds.push(JSON.parse(line) as BuiltJson)
      this.#changes.emit('change')
    })
    this.ended = once(this.#child, 'close').then(([code, signal]: unknown[]) => {
      this.#hasEnded = true
      this.#changes.emit('change')
      return (code ?? signal) as number | string
    })
  }

  /** The next build that fulfils `isWanted`, of those that were not returned yet. */
  async next(isWanted: (build: BuiltJson) => boolean = () => true): Promise<BuiltJson> {
    const signal = AbortSignal.timeout(patience)
    for (;;) {
      for (const build of this.builds.slice(this.#taken)) {
        this.#taken++
        if (isWanted(build)) return build
      }
      if (this.#hasEnded) throw new Error(`it has ended\n${this.stderr}`)
      await once(this.#changes, 'change', { signal }).catch((error: unknown) => {
        const told = this.builds.map((build) => JSON.stringify(build)).join('\n')
        throw new Error(`timed out\n${told}\n${this.stderr}`, { cause: error })
      })
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#hasEnded) return
    this.signal('SIGKILL')
    await this.ended
  }
}
