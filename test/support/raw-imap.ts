/**
 * IMAP as tests read it to see what is in a mailbox: an own, small reader, so that nothing that the
 * copying uses judges what the copying did. Names of folders stay as they are on the wire.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface RawMessage {
  readonly flags: readonly string[]
  /** As IMAP writes it; with a blank or a nought before a day of one figure. */
  readonly date: string
  readonly body: Buffer
}

/** What is compared of a message. */
export interface RawContent {
  /** Sorted, in one text. */
  readonly flags: string
  /** Milliseconds since 1970. */
  readonly at: number
  readonly bytes: number
  readonly hash: string
}

/** A response: its text, with a mark where a literal was, and the literals. */
interface Response {
  readonly text: string
  readonly literals: readonly Buffer[]
}

const literalMark = '\u0001'

export class RawImap implements Disposable {
  readonly #socket: Socket
  #input = Buffer.alloc(0)
  #tags = 0
  #isClosed = false

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', () => undefined).on('close', () => (this.#isClosed = true))
  }

  static async login(port: number, user: string, password: string): Promise<RawImap> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    const imap = new RawImap(socket)
    try {
      await imap.#response()
      await imap.command(`LOGIN "${user}" "${password}"`)
      return imap
    } catch (error) {
      socket.destroy()
      throw error
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }

  /** The untagged responses. Throws where the command fails. Parts are sent without waiting. */
  async command(...parts: readonly (string | Buffer)[]): Promise<Response[]> {
    const tag = `T${++this.#tags}`
    const bytes = [`${tag} `, ...parts, '\r\n'].map((part) => Buffer.from(part as string, 'latin1'))
    this.#socket.write(Buffer.concat(bytes))
    const untagged: Response[] = []
    for (;;) {
      const response = await this.#response()
      if (!response.text.startsWith(`${tag} `)) untagged.push(response)
      else if (response.text.startsWith(`${tag} OK`)) return untagged
      else throw new Error(`${String(parts[0]).slice(0, 80)}: ${response.text}`)
    }
  }

  /** Puts messages into a folder, some hundred at a time. Needs MULTIAPPEND and LITERAL+. */
  async append(folder: string, messages: readonly RawMessage[]): Promise<void> {
    for (let at = 0; at < messages.length; at += 300) {
      const parts = messages.slice(at, at + 300).flatMap(({ flags, date, body }) => {
        const tilde = body.includes(0) ? '~' : ''
        return [` (${flags.join(' ')}) "${date}" ${tilde}{${body.length}+}\r\n`, body]
      })
      await this.command(`APPEND "${quoted(folder)}"`, ...parts)
    }
  }

  /** Selectable folders, by their names on the wire. */
  async folders(): Promise<string[]> {
    const listed = await this.command('LIST "" *')
    return listed.flatMap(({ text, literals }) => {
      const [, flags = '', name = ''] = /^\* LIST \(([^)]*)\) \S+ (.*)$/.exec(text) ?? []
      if (/\\no(?:select|nexistent)/i.test(flags)) return []
      return [name === literalMark ? String(literals[0]) : unquoted(name)]
    })
  }

  async subscribed(): Promise<string[]> {
    const listed = await this.command('LSUB "" *')
    return listed.map(({ text }) => unquoted(/^\* LSUB \([^)]*\) \S+ (.*)$/.exec(text)?.[1] ?? ''))
  }

  /** Every message of a folder, in the order of the UIDs. */
  async contents(folder: string): Promise<RawContent[]> {
    await this.command(`EXAMINE "${quoted(folder)}"`)
    const fetched = await this.command('UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])')
    return fetched
      .filter(({ text }) => / FETCH /.test(text))
      .map(({ text, literals }) => {
        const flags = (/FLAGS \(([^)]*)\)/.exec(text)?.[1] ?? '').split(' ')
        const body = literals.at(-1) ?? Buffer.alloc(0)
        const uid = Number(/UID (\d+)/.exec(text)?.[1])
        const date = /INTERNALDATE "([^"]*)"/.exec(text)?.[1]?.trim().replaceAll('-', ' ') ?? ''
        const content = {
          flags: flags
            .filter((flag) => flag !== '\\Recent' && flag !== '')
            .sort()
            .join(' '),
          at: Date.parse(
            date
              .replace(/^(\S+ \S+ \S+) (\S+) (\S+ \d+)$/, '$1 $2 $3')
              .replace(/ (\d{4})$/, ' -$1')
              .replace(/ --/, ' -'),
          ),
          bytes: body.length,
          hash: createHash('sha256').update(body).digest('hex'),
        }
        return { uid, content }
      })
      .sort((one, other) => one.uid - other.uid)
      .map(({ content }) => content)
  }

  async uids(folder: string): Promise<number[]> {
    await this.command(`EXAMINE "${quoted(folder)}"`)
    const [found] = await this.command('UID SEARCH ALL')
    return (found?.text.match(/\d+/g) ?? []).map(Number)
  }

  /** All folders with all messages. */
  async everything(): Promise<Record<string, RawContent[]>> {
    const found: Record<string, RawContent[]> = {}
    for (const folder of (await this.folders()).sort()) found[folder] = await this.contents(folder)
    return found
  }

  async #response(): Promise<Response> {
    let text = ''
    const literals: Buffer[] = []
    for (;;) {
      const line = (await this.#bytes((input) => input.indexOf('\r\n') + 2 || undefined))
        .toString('latin1')
        .slice(0, -2)
      const [, size] = /\{(\d+)\}$/.exec(line) ?? []
      if (size === undefined) return { text: text + line, literals }
      text += line.slice(0, line.lastIndexOf('{')) + literalMark
      const count = Number(size)
      literals.push(await this.#bytes((input) => (input.length >= count ? count : undefined)))
    }
  }

  /** Takes so many bytes of the input as soon as `ready` says how many; 1 is none of a line. */
  async #bytes(ready: (input: Buffer) => number | undefined): Promise<Buffer> {
    const chunks: Buffer[] = []
    for (;;) {
      const count = ready(this.#input)
      if (count !== undefined && count !== 1) {
        const taken = this.#input.subarray(0, count)
        this.#input = this.#input.subarray(count)
        return taken
      }
      if (this.#isClosed) throw new Error('closed by the server')
      const chunk = this.#socket.read() as Buffer | null
      if (chunk === null) {
        const woken = new AbortController()
        const { signal } = woken
        await Promise.race([
          once(this.#socket, 'readable', { signal }),
          once(this.#socket, 'close', { signal }),
        ])
        woken.abort()
      } else {
        chunks.push(chunk)
        this.#input = Buffer.concat([this.#input, chunk])
      }
    }
  }
}

function quoted(name: string): string {
  return name.replace(/["\\]/g, String.raw`\$&`)
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replace(/\\(.)/g, '$1') : name
}
