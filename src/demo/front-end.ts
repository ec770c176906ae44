/** `mailmux serve` as a process of its own, with its log in a file. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { MailmuxError } from '../base/error.ts'
import { endGroup } from './process-group.ts'

export interface FrontEndOptions {
  /** The command line of mailmux, without a command. */
  readonly program: readonly string[]
  readonly configFile: string
  readonly logFile: string
}

const readyWithinMs = 30_000

export class FrontEnd implements AsyncDisposable {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /** Returns when it listens. Throws DEMO_FAILED with the end of what it said, or the reason of `signal`. */
  static async start(options: FrontEndOptions, signal: AbortSignal): Promise<FrontEnd> {
    const [command = process.execPath, ...words] = options.program
    const child = spawn(command, [...words, 'serve', '--config', options.configFile], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    const frontEnd = new FrontEnd(child)
    const said = keepLog(child, options.logFile)
    try {
      await untilReady(child, AbortSignal.any([signal, AbortSignal.timeout(readyWithinMs)]))
      return frontEnd
    } catch (error) {
      await frontEnd[Symbol.asyncDispose]()
      signal.throwIfAborted()
      const end = said.slice(-5).join('\n')
      throw new MailmuxError('DEMO_FAILED', `mailmux serve did not start\n${end}`, { cause: error })
    }
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endGroup(this.#child)
  }
}

function keepLog({ stdout, stderr }: ChildProcess, file: string): readonly string[] {
  const said: string[] = []
  const log = createWriteStream(file, { flags: 'a' })
  // The folder may be gone before the last line.
  log.on('error', () => undefined)
  for (const stream of [stdout, stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      log.write(chunk)
      const text = chunk.toString().trim()
      if (text !== '' && said.push(text) > 20) said.shift()
    })
  }
  return said
}

function untilReady(child: ChildProcess, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let log = ''
  const read = (chunk: Buffer): void => {
    log += chunk.toString()
    if (log.includes('"event":"daemon.ready"')) resolve()
  }
  child.stdout?.on('data', read)
  child.on('exit', (code) => reject(new Error(`it ended with ${code}`)))
  child.on('error', reject)
  signal.addEventListener('abort', () => reject(signal.reason as Error))
  return promise.finally(() => child.stdout?.off('data', read))
}
