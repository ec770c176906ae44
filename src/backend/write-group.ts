/** What one event brings for a socket, sent in one piece: commands as one text, octets as they are. */
import type { Connection } from '../net/connection.ts'

export class WriteGroup {
  #text = ''
  #isCorked = false

  /** Octets must stay as they are until they are sent. */
  add(socket: Connection, octets: Buffer | string): void {
    if (typeof octets === 'string') {
      this.#text += octets
      return
    }
    if (!this.#isCorked) socket.cork()
    this.#isCorked = true
    this.#writeText(socket)
    socket.write(octets)
  }

  /** Sends what was added; false where that is nothing. */
  send(socket: Connection): boolean {
    if (this.#text === '' && !this.#isCorked) return false
    this.#writeText(socket)
    if (this.#isCorked) socket.uncork()
    this.#isCorked = false
    return true
  }

  #writeText(socket: Connection): void {
    if (this.#text !== '') socket.write(this.#text, 'utf8')
    this.#text = ''
  }
}
