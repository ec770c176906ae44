/** What a mailbox over IMAP answers with. */
import type { MailboxAccess } from '../backend/mailbox-access.ts'
import { isThrottled } from '../backend/throttled.ts'
import { MailmuxError, messageOf } from '../base/error.ts'
import type { FolderState } from '../map/state/copy-journal.ts'
import type { ListedFolder, Naming } from './folder-map.ts'

/** The server says no to one command; the connection goes on. */
export class Refusal extends Error {
  /** Name of the response code in capitals; '' where there is none. */
  readonly code: string

  constructor(code: string, text: string) {
    super(text)
    this.code = code
  }
}

export interface FolderList {
  readonly folders: readonly ListedFolder[]
  readonly naming: Naming
  /** By name, of those that can be selected; without those whose state the server does not tell. */
  readonly states: ReadonlyMap<string, FolderState>
}

/** Names of the folders that may hold messages. */
export function selectableIn({ folders }: FolderList): ReadonlySet<string> {
  return new Set(folders.filter(({ isSelectable }) => isSelectable).map(({ name }) => name))
}

export interface SelectedFolder {
  readonly state: FolderState
  /** Undefined where the server does not say. */
  readonly permanentFlags: ReadonlySet<string> | undefined
}

/** Octets; undefined where the server does not tell. */
export interface Quota {
  readonly usedBytes: number
  readonly limitBytes: number
}

/**
 * What imapflow throws as ours: a Refusal where the server said no, BACKEND_THROTTLED where that may
 * pass and is no matter of this command, else BACKEND_UNREACHABLE. The share of the server hears of
 * the latter two.
 */
export function failureOf({ server, share }: MailboxAccess, error: unknown): Error {
  if (error instanceof Refusal || error instanceof MailmuxError) return error
  const { responseStatus, responseText, executedCommand = '', reason = '' } = error as Failed
  if (unwritable.has(String((error as Failed).code))) return new Refusal('', messageOf(error))
  const isAnswer = responseStatus === 'NO' || responseStatus === 'BAD'
  const code = codeOf(error as Failed)
  const text = responseText ?? reason
  const command = executedCommand.replace(/^\S+ /, '')
  const isTooMuch = isThrottled({ command, code, text })
  if (isAnswer && !isTooMuch) return new Refusal(code, responseText ?? responseStatus)
  share?.refused()
  const what = `${server}, IMAP: ${text === '' ? messageOf(error) : text}`
  const kind = isTooMuch ? 'BACKEND_THROTTLED' : 'BACKEND_UNREACHABLE'
  return new MailmuxError(kind, what, { cause: error })
}

/** Of a name or value that holds the end of a line: nothing was sent. */
const unwritable = new Set(['InvalidStringValue', 'InvalidTokenValue'])

/** Errors of imapflow. */
interface Failed {
  /** Its own name for what is wrong. */
  readonly code?: string
  readonly responseStatus?: string
  readonly responseText?: string
  /** Commands of imapflow's own tell the code; of others, the first word of the answer has it. */
  readonly serverResponseCode?: string
  readonly response?:
    | string
    | { readonly attributes?: readonly { readonly section?: readonly { value?: string }[] }[] }
  readonly executedCommand?: string
  /** What a BYE said. */
  readonly reason?: string
}

function codeOf({ serverResponseCode, response }: Failed): string {
  const [first] = (typeof response === 'object' ? response.attributes : undefined) ?? []
  return (serverResponseCode ?? first?.section?.[0]?.value ?? '').toUpperCase()
}

/** `NAME=` is any of those. */
export function hasCapability(offered: ReadonlyMap<string, unknown>, name: string): boolean {
  return name.endsWith('=') ? offered.keys().some((one) => one.startsWith(name)) : offered.has(name)
}

/** Of a connection of imapflow, where its types keep it to themselves. RFC 2342. */
export interface Namespaces {
  readonly namespace?: { readonly prefix: string; readonly delimiter: string | null }
  readonly namespaces?: Readonly<Record<string, false | readonly { readonly prefix: string }[]>>
}

interface Listed {
  readonly path: string
  readonly delimiter: string
  readonly flags: ReadonlySet<string>
  readonly subscribed: boolean
  readonly specialUse?: string | undefined
  readonly specialUseSource?: string | undefined
  readonly status?: Status | undefined
}

/** The folders of the user's own. Imapflow takes INBOX for subscribed always. */
export function folderListOf(
  listed: readonly Listed[],
  { namespace, namespaces }: Namespaces,
  isInboxSubscribed: boolean,
): FolderList {
  const foreign = [namespaces?.['other'], namespaces?.['shared']]
    .flatMap((spaces) => spaces || [])
    .filter(({ prefix }) => prefix !== '')
  const own = listed.filter(({ path }) => !foreign.some(({ prefix }) => path.startsWith(prefix)))
  const states = own.flatMap(({ path, status }) =>
    status?.uidValidity === undefined ? [] : [[path, stateOf(status)] as const],
  )
  return {
    folders: own.map((folder) => ({
      name: folder.path,
      delimiter: folder.delimiter ?? '',
      isSelectable: !folder.flags.has('\\Noselect'),
      isSubscribed: folder.path === 'INBOX' ? isInboxSubscribed : folder.subscribed,
      role: folder.specialUseSource === 'extension' ? folder.specialUse : undefined,
    })),
    naming: { prefix: namespace?.prefix ?? '', delimiter: namespace?.delimiter ?? '' },
    states: new Map(states),
  }
}

interface Status {
  readonly messages?: number | undefined
  readonly uidNext?: number | undefined
  readonly uidValidity?: bigint | undefined
  readonly highestModseq?: bigint | undefined
}

/** As imapflow tells of a folder. */
export function stateOf(status: Status): FolderState {
  const { messages = 0, uidNext = 0, uidValidity = 0n, highestModseq } = status
  // RFC 7162 section 3.1.7: 0 is that of a folder that keeps none.
  const modseq = String(highestModseq || '')
  return { messages, uidNext, uidValidity: Number(uidValidity), modseq }
}

interface Resources {
  readonly storage?:
    | { readonly usage?: number | undefined; readonly limit?: number | undefined }
    | undefined
}

/** Undefined where the server tells of no limit. */
export function quotaOf(answer: Resources | false): Quota | undefined {
  const storage = answer === false ? undefined : answer.storage
  if (storage?.limit === undefined) return undefined
  return { usedBytes: storage.usage ?? 0, limitBytes: storage.limit }
}
