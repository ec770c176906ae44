/** What a child of the supervisor is about to serve with: opened first, then put in force or given up. */
import { MailmuxError, messageOf } from '../base/error.ts'
import type { Log } from '../base/log.ts'
import type { KnownChanges } from '../map/state/override-reader.ts'
import type { PrepareReply } from './channel.ts'
import { openGeneration } from './generation.ts'
import type { Generation } from './runtime.ts'
import type { Settings } from './settings.ts'

interface Prepared {
  readonly settings: Settings
  readonly generation: Generation
}

export class NextGeneration {
  readonly #log: Log
  #prepared: Prepared | undefined

  constructor(log: Log) {
    this.#log = log
  }

  /**
   * Opens it in place of one that was not put in force. `makeReady`: whatever else it needs; where
   * that throws, nothing is left open.
   */
  async prepare(
    settings: Settings,
    known: KnownChanges,
    makeReady: () => Promise<void>,
  ): Promise<PrepareReply> {
    this.giveUp()
    const report = ({ code, message }: MailmuxError): void => {
      this.#log('map.changes_unread', { code, detail: message })
    }
    const opened = openGeneration(settings, { known, report })
    if ('problems' in opened) {
      return { prepared: false, problems: opened.problems.map(({ located }) => located) }
    }
    const { generation } = opened
    try {
      await makeReady()
    } catch (error) {
      generation.map.close()
      const text = error instanceof MailmuxError ? error.located : messageOf(error)
      return { prepared: false, problems: [text] }
    }
    this.#prepared = { settings, generation }
    return { prepared: true, generation: generation.map.base }
  }

  /** Hands it over, once; undefined where nothing is prepared. */
  take(): Prepared | undefined {
    const prepared = this.#prepared
    this.#prepared = undefined
    return prepared
  }

  giveUp(): void {
    this.take()?.generation.map.close()
  }
}
