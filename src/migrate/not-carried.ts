/** What folders have besides messages that a copy leaves behind: rights of others, annotations. */
import { type Token, textOf } from './fetch-attributes.ts'
import { Refusal } from './imap-answers.ts'
import type { ImapMailbox } from './imap-mailbox.ts'
import { atom, nameOf } from './imap-words.ts'

/** A line for each folder that has any, for a person. `login`: whose the mailbox is. */
export async function tellNotCarried(
  mailbox: ImapMailbox,
  folders: readonly string[],
  login: string,
): Promise<string[]> {
  const lines: string[] = []
  for (const folder of folders) {
    const others = (await rightsOf(mailbox, folder)).filter((name) => !isOwner(name, login))
    if (others.length > 0) lines.push(`${folder}: rights of ${others.join(', ')} are left behind`)
    const entries = await annotationsOf(mailbox, folder)
    if (entries.length > 0) lines.push(`${folder}: left behind: ${entries.sort().join(', ')}`)
  }
  return lines
}

/** Who has rights to a folder. RFC 4314 section 3.6. */
async function rightsOf(mailbox: ImapMailbox, folder: string): Promise<string[]> {
  if (!mailbox.offers('ACL')) return []
  const said = await asked(mailbox, 'GETACL', folder, 'ACL')
  return said.flatMap((tokens) =>
    tokens
      .slice(1)
      .filter((_, index) => index % 2 === 0)
      .map(textOf),
  )
}

/** Names of annotations that have a value. RFC 5464 section 4.4.1. */
async function annotationsOf(mailbox: ImapMailbox, folder: string): Promise<string[]> {
  if (!mailbox.offers('METADATA')) return []
  const said = await asked(mailbox, 'GETMETADATA', folder, 'METADATA')
  return said.flatMap((tokens) => {
    const pairs = tokens[1]
    if (!Array.isArray(pairs)) return []
    const values = pairs as readonly Token[]
    return values.flatMap((name, index) =>
      index % 2 === 0 && values[index + 1] !== null && !passedBy.test(textOf(name))
        ? [textOf(name)]
        : [],
    )
  })
}

/** Special use, which is carried as such (RFC 6154 section 4), and what servers keep for themselves. */
const passedBy = /\/specialuse$|^\/[a-z]+\/vendor\//i

async function asked(
  mailbox: ImapMailbox,
  command: 'GETACL' | 'GETMETADATA',
  folder: string,
  name: string,
): Promise<(readonly Token[])[]> {
  const whole = [[atom('DEPTH'), atom('infinity')]]
  const entries = [[atom('/private'), atom('/shared')]]
  const attributes =
    command === 'GETACL' ? [nameOf(folder)] : [...whole, nameOf(folder), ...entries]
  try {
    return await mailbox.responses(command, attributes, [name])
  } catch (error) {
    // Who may not ask has nothing to carry.
    if (error instanceof Refusal) return []
    throw error
  }
}

function isOwner(identifier: string, login: string): boolean {
  const [local = ''] = login.split('@')
  return ['owner', login, local].includes(identifier.toLowerCase())
}
