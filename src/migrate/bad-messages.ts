/**
 * Messages that the target does not take: each is reported and kept as a file, and so many of a
 * mailbox may be left behind.
 */
import { hash } from 'node:crypto'
import { join } from 'node:path'
import { MailmuxError } from '../base/error.ts'
import { replaceFile } from '../storage/atomic-file.ts'
import { type DiskFile, realDisk } from '../storage/disk.ts'

export interface BadMessage {
  readonly folder: string
  readonly uid: number
  readonly sizeBytes: number
  readonly reason: string
  /** Octets, or a stream of them, which is begun only where they are not kept yet. */
  readonly body: Buffer | AsyncIterable<Buffer>
}

/** As it is reported. */
export interface ReportedBad extends Omit<BadMessage, 'body'> {
  /** Where its octets are. */
  readonly file: string
}

export class BadMessages {
  readonly found: ReportedBad[] = []
  readonly #folder: string
  readonly #most: number
  readonly #user: string

  /** `most`: how many of this user may be left behind. */
  constructor(stateDir: string, user: string, most: number) {
    this.#folder = join(stateDir, 'quarantine', fileName(user))
    this.#user = user
    this.#most = most
  }

  /**
   * Throws TOO_MANY_BAD with the one that is too many; it is kept as the others are. Throws what the
   * stream of a body throws, too: then it is not reported.
   */
  async keep({ body, ...bad }: BadMessage): Promise<void> {
    const file = join(this.#folder, `${fileName(bad.folder)}-${bad.uid}.eml`)
    // Of an earlier pass.
    const before = this.found.findIndex((one) => one.file === file)
    if (before !== -1) this.found.splice(before, 1)
    if (before === -1 || Buffer.isBuffer(body)) {
      await replaceFile(realDisk, file, (open) => writeAll(open, body), { mode: 0o600 })
    }
    this.found.push({ ...bad, file })
    if (this.found.length <= this.#most) return
    const { folder, uid, reason } = bad
    const what = `${this.#user}: ${folder}, message ${uid}: ${reason}`
    const count = this.found.length === 1 ? '' : ` (${this.found.length} such messages)`
    throw new MailmuxError('TOO_MANY_BAD', `${what}${count}`)
  }
}

async function writeAll(file: DiskFile, body: BadMessage['body']): Promise<void> {
  let at = 0
  for await (const bytes of Buffer.isBuffer(body) ? [body] : body) {
    await file.write(bytes, at)
    at += bytes.length
  }
}

/** What is longer is cut, and told apart by its hash: with the UID a name has 255 octets at most. */
const nameChars = 200

/** Of each user and folder another one, and none of them hidden. */
function fileName(text: string): string {
  const name = encodeURIComponent(text.toWellFormed()).replaceAll('%40', '@').replace(/^\./, '%2E')
  if (name.length <= nameChars) return name
  return `${name.slice(0, nameChars - 65)}~${hash('sha256', name, 'hex')}`
}
