/**
 * Parts of a name in a value that stands for many names, as Sendmail's virtusertable has them: %1 the
 * name, %2 its detail, %3 the detail with its delimiter, %% a percent sign.
 */
import { type Address, localPartBytes, type Naming, parseAddress } from '../mail/address.ts'
import { isLoginName, type Value } from './value.ts'

/** Undefined where the outcome is no address or no name. */
export function fillIn(value: Value, address: Address, naming: Naming): Value | undefined {
  switch (value.kind) {
    case 'rename': {
      const login = replaced(value.login, address, naming)
      return isLoginName(login) ? { ...value, login } : undefined
    }
    case 'forward': {
      const filled = replaced(value.address, address, naming)
      const made = parseAddress(filled, naming)
      // A catch-all that leads to itself by longer and longer names comes to an end.
      const isAddress = made !== undefined && Buffer.byteLength(made.local) <= localPartBytes
      return isAddress ? { ...value, address: filled } : undefined
    }
    default:
      return value
  }
}

/** True where a value has parts of a name in it. */
export function isTemplate(text: string): boolean {
  return /%[1-3%]/.test(text)
}

function replaced(text: string, { user, detail }: Address, naming: Naming): string {
  return text.replace(/%([1-3%])/g, (_, part: string) => {
    if (part === '%') return '%'
    if (part === '1') return user
    if (detail === undefined) return ''
    return part === '2' ? detail : naming.recipientDelimiter + detail
  })
}
