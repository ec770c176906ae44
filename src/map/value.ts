/** What a line of `user_map` or `popmap` says of one user, back-ends already told apart. */
import type { Verdict } from '../mail/route.ts'

export type Value =
  /** The mailbox is at a back-end, under the user's own name. */
  | { readonly kind: 'backend'; readonly backend: string }
  /** The mailbox is at a back-end under another name, as it is written there. */
  | { readonly kind: 'rename'; readonly backend: string; readonly login: string }
  /** No mailbox here: mail goes on to another address, ours or outside. */
  | { readonly kind: 'forward'; readonly address: string }
  | ({ readonly kind: 'reject' } & Verdict)
  | ({ readonly kind: 'defer' } & Verdict)

/** True where a back-end can be sent a name in every protocol: no blank, quote or control byte. */
export function isLoginName(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control bytes are what is looked for
  return /^[^\u0000-\u0020\u007f"\\<>()]{1,320}$/.test(text)
}

/** One line for a person, in the words of the sources. */
export function describeValue(value: Value): string {
  switch (value.kind) {
    case 'backend':
      return value.backend
    case 'rename':
      return `${value.login}@${value.backend}`
    case 'forward':
      return value.address
    case 'reject':
    case 'defer':
      return `${value.kind} ${value.code} ${value.status} ${value.text}`
    default:
      return value satisfies never
  }
}
