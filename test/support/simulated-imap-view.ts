/**
 * A selected folder as one session of a simulated IMAP server knows it: numbers of messages change for
 * it when it is told so, and not before. RFC 9051 sections 5.2 and 7.5.1, RFC 2180.
 */
import type { Folder, Message } from './simulated-mailbox.ts'

export interface FolderFigures {
  readonly messages: number
  readonly uidNext: number
  readonly uidValidity: number
  readonly modseq: number
  readonly bytes: number
}

export function figuresOf(folder: Folder, messages: readonly Message[]): FolderFigures {
  const { uidNext, uidValidity, modseq } = folder
  const bytes = messages.reduce((sum, { body }) => sum + body.octets.length, 0)
  return { messages: messages.length, uidNext, uidValidity, modseq, bytes }
}

export class View {
  readonly folder: Folder
  readonly isReadOnly: boolean
  messages: readonly Message[]
  /** As of the last time that the session was told. */
  figures: FolderFigures
  readonly #told = new Map<Message, string>()

  constructor(folder: Folder, isReadOnly: boolean) {
    this.folder = folder
    this.isReadOnly = isReadOnly
    this.messages = folder.messages
    this.figures = figuresOf(folder, this.messages)
    for (const message of this.messages) this.tell(message)
  }

  /** The session knows these flags of it. */
  tell(message: Message): void {
    this.#told.set(message, [...message.flags].join(' '))
  }

  numberOf(message: Message): number {
    return this.messages.indexOf(message) + 1
  }

  get last(): number {
    return this.messages.at(-1)?.uid ?? 0
  }

  /** What has happened since, as untagged responses. */
  sync(): string[] {
    const lines: string[] = []
    const left = [...this.messages]
    for (let index = left.length - 1; index >= 0; index--) {
      if (left[index]?.isGone !== true) continue
      left.splice(index, 1)
      lines.push(`* ${index + 1} EXPUNGE`)
    }
    const { messages } = this.folder
    if (messages.length > left.length) lines.push(`* ${messages.length} EXISTS`)
    this.messages = messages
    for (const [index, message] of messages.entries()) {
      const flags = [...message.flags].join(' ')
      const before = this.#told.get(message)
      this.#told.set(message, flags)
      if (before !== undefined && before !== flags) {
        lines.push(`* ${index + 1} FETCH (UID ${message.uid} FLAGS (${flags}))`)
      }
    }
    this.figures = figuresOf(this.folder, messages)
    return lines
  }
}
