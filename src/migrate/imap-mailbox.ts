/**
 * One mailbox over IMAP, by imapflow: folders, flags, dates and octets as the server has them. Its
 * failures become ours here. Messages are put elsewhere (backend/append-connection.ts): imapflow has
 * one command under way at a time, and each message of its APPEND waits to be asked for.
 */
import type { MailboxAccess } from '../backend/mailbox-access.ts'
import { MailmuxError } from '../base/error.ts'
import type { Fetched, Token } from './fetch-attributes.ts'
import { ImapClient } from './imap-client.ts'
import {
  answersTo,
  atom,
  type Attribute,
  type Attributes,
  factNames,
  flagNames,
  messageIdOnly,
  nameOf,
  sequence,
  uidSearch,
  type Untagged,
  wholeBody,
} from './imap-words.ts'
import {
  failureOf,
  type FolderList,
  folderListOf,
  hasCapability,
  type Quota,
  quotaOf,
  Refusal,
  type SelectedFolder,
  stateOf,
} from './imap-answers.ts'
import { UidSet } from './uid-set.ts'

/** UIDs that one command names; a set of single ones is still a line that servers read. */
const uidsAtOnce = 1_000

export class ImapMailbox implements AsyncDisposable {
  readonly server: string
  readonly #access: MailboxAccess
  readonly #client: ImapClient
  readonly #signal: AbortSignal
  readonly #close = (): void => this.#client.flow.close()

  private constructor(access: MailboxAccess, client: ImapClient, signal: AbortSignal) {
    this.server = access.server
    this.#access = access
    this.#client = client
    this.#signal = signal
    signal.addEventListener('abort', this.#close, { once: true })
  }

  /** Throws as `openMailboxStream` does. */
  static async open(access: MailboxAccess, signal: AbortSignal): Promise<ImapMailbox> {
    const client = await ImapClient.open(access, signal)
    const mailbox = new ImapMailbox(access, client, signal)
    try {
      await mailbox.#ask(() => client.flow.connect())
      return mailbox
    } catch (error) {
      client.destroy()
      throw error
    }
  }

  /** Waits until so many octets may come or go. Throws what `Share.admit` does. */
  async admit(bytes: number): Promise<void> {
    await this.#access.share?.admit(bytes, this.#signal)
  }

  /** What should not be exceeded by what is asked for at once. */
  get pieceBytes(): number {
    return this.#access.share?.pieceBytes ?? Number.POSITIVE_INFINITY
  }

  /** Whether a capability is offered, by its name in capitals; `NAME=` is any of those. */
  offers(capability: string): boolean {
    return hasCapability(this.#client.flow.capabilities, capability)
  }

  /** The most octets that a message may have; undefined where that is not told for all folders. */
  get appendLimitBytes(): number | undefined {
    const limit = this.#client.flow.capabilities.get('APPENDLIMIT')
    return typeof limit === 'number' && limit > 0 ? limit : undefined
  }

  /**
   * Folders of the user's own, each with its state where it can be selected. Throws BACKEND_UNREACHABLE
   * where the server refuses to tell, as one does that cannot get at the mailbox.
   */
  async list(): Promise<FolderList> {
    try {
      return await this.#list()
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      const what = `${this.server}, IMAP: does not list folders: ${error.message}`
      throw new MailmuxError('BACKEND_UNREACHABLE', what, { cause: error })
    }
  }

  async #list(): Promise<FolderList> {
    // STATUS of the selected folder is as this session knows it else: RFC 9051 section 6.3.11.
    await this.#exec('NOOP', [])
    const statusQuery = { messages: true, uidNext: true, uidValidity: true, highestModseq: true }
    const listed = await this.#ask(() => this.#client.flow.list({ statusQuery }))
    const isInboxSubscribed = await this.#isSubscribed('INBOX')
    return folderListOf(listed, this.#client.namespaces, isInboxSubscribed)
  }

  async #isSubscribed(folder: string): Promise<boolean> {
    const pattern = [{ type: 'STRING', value: '' } as const, nameOf(folder)]
    return (await this.responses('LSUB', pattern, ['LSUB', 'LIST'])).length > 0
  }

  /** What untagged responses of these names say to a command. Throws Refusal. */
  async responses(
    command: string,
    attributes: Attributes,
    names: readonly string[],
  ): Promise<(readonly Token[])[]> {
    const found: (readonly Token[])[] = []
    const take: Untagged[string] = async ({ attributes: said = [] }) => void found.push(said)
    await this.#exec(command, attributes, Object.fromEntries(names.map((name) => [name, take])))
    return found
  }

  /** Throws Refusal. */
  async select(folder: string, access: 'read' | 'write'): Promise<SelectedFolder> {
    const opened = await this.#ask(() =>
      this.#client.flow.mailboxOpen(folder, { readOnly: access === 'read' }),
    )
    const { permanentFlags, exists: messages } = opened
    return { state: stateOf({ ...opened, messages }), permanentFlags }
  }

  /** Of these folders; undefined where the server does not tell without their being read. */
  async totalBytes(folders: readonly string[]): Promise<number | undefined> {
    if (!this.offers('STATUS=SIZE')) return undefined
    let total = 0
    for (const folder of folders) {
      const status = await this.#ask(() => this.#client.flow.status(folder, { size: true }))
      if (status === false || status.size === undefined) return undefined
      total += status.size
    }
    return total
  }

  /**
   * All UIDs of the selected folder. Throws BACKEND_UNREACHABLE where they are not as many as the
   * server says that there are: what is missing would be taken for gone.
   */
  async uids(): Promise<UidSet> {
    for (let attempt = 1; ; attempt++) {
      const { found, counts } = await this.#search()
      if (counts.includes(found.size)) return found
      const what = `${this.server}, IMAP: lists ${found.size} of ${counts.at(-1)} messages`
      if (attempt > 1) throw new MailmuxError('BACKEND_UNREACHABLE', what)
      // Some may have come before it that are told of only now.
      await this.#exec('NOOP', [])
    }
  }

  /** `counts`: how many there were, one after the other; what is deleted meanwhile is found still. */
  async #search(): Promise<{ readonly found: UidSet; readonly counts: readonly number[] }> {
    const { asked, untagged, uids } = uidSearch(this.offers('ESEARCH'))
    const counts: number[] = []
    const count = (): void => {
      const { exists = 0 } = this.#client.flow.mailbox || {}
      counts.push(exists)
    }
    count()
    this.#client.flow.on('exists', count).on('expunge', count)
    try {
      await this.#exec('UID SEARCH', asked, untagged)
    } finally {
      this.#client.flow.off('exists', count).off('expunge', count)
    }
    return { found: uids(), counts }
  }

  /** UIDs of messages of more octets, in the selected folder. */
  async largerThan(bytes: number): Promise<UidSet> {
    const criteria = [atom('LARGER'), atom(String(bytes))]
    const { asked, untagged, uids } = uidSearch(this.offers('ESEARCH'), criteria)
    await this.#exec('UID SEARCH', asked, untagged)
    return uids()
  }

  facts(uids: UidSet): Promise<Fetched[]> {
    return this.#fetch(uids, factNames)
  }

  /** The same, with the Message-Id field of the header. */
  identities(uids: UidSet): Promise<Fetched[]> {
    return this.#fetch(uids, [...factNames, messageIdOnly])
  }

  bodies(uids: UidSet): Promise<Fetched[]> {
    return this.#fetch(uids, [...factNames, wholeBody])
  }

  /** Flags of messages that have changed since a HIGHESTMODSEQ. RFC 7162. */
  async changedFlags(since: string): Promise<Fetched[]> {
    const answers = answersTo(flagNames, () => true)
    const asked = [sequence('1:*'), flagNames, [atom('CHANGEDSINCE'), atom(since)]]
    await this.#ask(() => this.#client.fetch(asked, answers))
    return answers.whole
  }

  flags(uids: UidSet): Promise<Fetched[]> {
    return this.#fetch(uids, flagNames)
  }

  /** Octets of one message from `at` on, at most so many. Throws Refusal where it is gone. */
  async part(uid: number, at: number, bytes: number): Promise<Buffer> {
    const part: Attribute = { ...wholeBody, partial: [at, bytes] }
    const [fetched] = await this.#fetch(UidSet.of([uid]), [atom('UID'), part])
    if (fetched?.body === undefined) throw new Refusal('', `message ${uid} is gone`)
    return fetched.body
  }

  /** Throws Refusal. `role`: as RFC 6154 writes it, where that is offered. */
  async create(folder: string, role: string | undefined): Promise<void> {
    const use =
      role !== undefined && this.offers('CREATE-SPECIAL-USE')
        ? [[atom('USE'), [atom(role)]] as Attributes]
        : []
    await this.#exec('CREATE', [nameOf(folder), ...use])
  }

  async subscribe(folder: string, isSubscribed: boolean): Promise<void> {
    await this.#exec(isSubscribed ? 'SUBSCRIBE' : 'UNSUBSCRIBE', [nameOf(folder)])
  }

  /** Throws Refusal. */
  async remove(folder: string): Promise<void> {
    await this.#ask(() => this.#client.flow.mailboxDelete(folder))
  }

  /** Gives messages of the selected folder these flags and no others. */
  async setFlags(uids: UidSet, flags: readonly string[]): Promise<void> {
    for (const part of uids.chunks(uidsAtOnce)) {
      await this.#exec('UID STORE', [sequence(part), atom('FLAGS.SILENT'), flags.map(atom)])
    }
  }

  /** Takes messages out of the selected folder, and no others. Throws Refusal without UIDPLUS. */
  async expunge(uids: UidSet): Promise<void> {
    // RFC 4315: EXPUNGE would take all that are marked as deleted, by whomever.
    if (!this.offers('UIDPLUS'))
      throw new Refusal('', 'messages cannot be expunged without UIDPLUS')
    for (const part of uids.chunks(uidsAtOnce)) {
      const deleted = [atom('\\Deleted')]
      await this.#exec('UID STORE', [sequence(part), atom('+FLAGS.SILENT'), deleted])
      await this.#exec('UID EXPUNGE', [sequence(part)])
    }
  }

  /** Of what INBOX counts against; undefined where the server tells of none. */
  async quota(): Promise<Quota | undefined> {
    return quotaOf(await this.#ask(() => this.#client.flow.getQuota('INBOX')))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener('abort', this.#close)
    if (this.#client.flow.usable) await this.#client.flow.logout().catch(() => undefined)
    this.#client.flow.close()
  }

  async #fetch(uids: UidSet, names: readonly Attribute[]): Promise<Fetched[]> {
    const answers = answersTo(names, (uid) => uids.has(uid))
    for (const part of uids.chunks(uidsAtOnce)) {
      await this.#ask(() => this.#client.fetch([sequence(part), names], answers))
    }
    return answers.whole
  }

  async #exec(command: string, attributes: Attributes, untagged: Untagged = {}): Promise<void> {
    await this.#ask(() => this.#client.exec(command, attributes, untagged))
  }

  /** Failures become ours, as `failureOf` has them. */
  async #ask<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      this.#signal.throwIfAborted()
      return await work()
    } catch (error) {
      this.#signal.throwIfAborted()
      throw failureOf(this.#access, error)
    }
  }
}
