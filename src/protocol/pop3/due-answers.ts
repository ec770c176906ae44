/** Which answers are due in a POP3 session after its login, by what its client has asked. RFC 1939. */
import { limits } from '../../base/limit.ts'

/**
 * `list`: `+OK` is followed by lines and a dot. `uidl` is one line about one message, `uidls` the list
 * of all. `unknown`: nobody here can tell what `+OK` is followed by.
 */
export type Due = 'line' | 'list' | 'uidl' | 'uidls' | 'unknown'

/** Commands that are answered alike with an argument and without one. */
const plain: Readonly<Record<string, Due>> = {
  RETR: 'list',
  TOP: 'list',
  CAPA: 'list',
  STAT: 'line',
  DELE: 'line',
  NOOP: 'line',
  RSET: 'line',
  QUIT: 'line',
  UTF8: 'line',
}
const alone: Readonly<Record<string, Due>> = { LIST: 'list', UIDL: 'uidls', LANG: 'list' }
const argued: Readonly<Record<string, Due>> = { LIST: 'line', UIDL: 'uidl', LANG: 'line' }

/** More than any client has under way. */
const mostDue = 10_000

export class DueAnswers {
  #due: Due[] = []
  /** A command that has not ended. */
  #command = ''
  #isLost = false

  /** It cannot be told any more whose answer the next one is. */
  get isLost(): boolean {
    return this.#isLost
  }

  /** From the client. */
  push(bytes: Buffer): void {
    if (this.#isLost) return
    const commands = (this.#command + bytes.toString('latin1')).split('\n')
    this.#command = commands.pop() ?? ''
    for (const command of commands) {
      const due = dueFor(command.trim())
      if (due === undefined) return this.giveUp()
      this.#due.push(due)
    }
    const isTooMuch = this.#command.length > limits.pop3LineBytes || this.#due.length > mostDue
    if (isTooMuch) this.giveUp()
  }

  /**
   * What begins with this octet. Undefined where nobody has asked, or where it is not known what
   * follows: then, no answer is known any more.
   */
  next(first: number): Due | undefined {
    const due = this.#due.shift()
    if (due !== undefined && (due !== 'unknown' || first === minus)) return due
    this.giveUp()
    return undefined
  }

  giveUp(): void {
    this.#isLost = true
    this.#due = []
    this.#command = ''
  }
}

const minus = 0x2d

/** Undefined for an empty line, which some servers answer and others do not. */
function dueFor(command: string): Due | undefined {
  if (command === '') return undefined
  const [verb = '', argument] = command.toUpperCase().split(' ')
  return plain[verb] ?? (argument === undefined ? alone : argued)[verb] ?? 'unknown'
}
