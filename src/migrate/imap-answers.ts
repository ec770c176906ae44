/** What a mailbox over IMAP answers with. */
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

/** What imapflow throws as ours: a Refusal where the server said no, else BACKEND_UNREACHABLE. */
export function failureOf(server: string, error: unknown): Error {
  if (error instanceof Refusal || error instanceof MailmuxError) return error
  const { responseStatus, responseText, serverResponseCode } = error as {
    readonly responseStatus?: string
    readonly responseText?: string
    readonly serverResponseCode?: string
  }
  if (responseStatus === 'NO' || responseStatus === 'BAD') {
    return new Refusal(serverResponseCode?.toUpperCase() ?? '', responseText ?? responseStatus)
  }
  const what = `${server}, IMAP: ${messageOf(error)}`
  return new MailmuxError('BACKEND_UNREACHABLE', what, { cause: error })
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
  const modseq = highestModseq === undefined ? '' : String(highestModseq)
  return { messages, uidNext, uidValidity: Number(uidValidity), modseq }
}
