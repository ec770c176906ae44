/** Mailboxes as no sane person has them and every server holds some; of a seed, always the same. */
import { type Random, randomOf } from './random.ts'
import type { RawImap, RawMessage } from './raw-imap.ts'

function pick<Item>(random: Random, items: readonly [Item, ...Item[]]): Item {
  return items[Math.floor(random() * items.length)] ?? items[0]
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const head = 'From: a@example.com\r\nSubject: x\r\n'

/** Bodies that have been somebody's trouble. */
const oddities: readonly [string, string][] = [
  ['header only', head],
  ['no header', '\r\nnothing above\r\n'],
  ['no end of line', `${head}\r\nends here`],
  ['bare line feeds', 'From: a\nSubject: b\n\nc\nd\n'],
  ['bare carriage returns', `${head}\r\na\rb\r\r\nc\r\n`],
  ['8-bit', `${head}\r\n\xe4\xf6\xfc \xff\xfe\x80\r\n`],
  ['UTF-8 header', 'Subject: \xc3\xa4\xe2\x82\xac\r\n\r\nx\r\n'],
  ['a dot alone', `${head}\r\n.\r\n..\r\n.x\r\n`],
  ['IMAP in it', `${head}\r\n* 1 FETCH (UID 9 FLAGS (\\Seen) BODY[] {3}\r\nabc)\r\nA1 OK done\r\n`],
  ['a literal in it', `${head}\r\n{12}\r\n{12+}\r\n~{1}\r\n`],
  ['From line', `From x\r\n${head}\r\n>From y\r\nFrom z\r\n`],
  ['blanks alone', '   '],
  ['one line end', '\r\n'],
  ['a long line', `${head}\r\n${'x'.repeat(70_000)}\r\n`],
  ['two Message-Ids', `Message-Id: <1@x>\r\nMessage-Id: <2@x>\r\n${head}\r\nx\r\n`],
  [
    'addresses',
    `To: ${Array.from({ length: 400 }, (_, index) => `u${index}@x`).join(',\r\n ')}\r\n\r\n`,
  ],
]

const flags = [
  '\\Seen',
  '\\Answered',
  '\\Flagged',
  '\\Draft',
  '\\Deleted',
  '$Forwarded',
  'NonJunk',
  'x-1',
]

function message(random: Random, text: string): RawMessage {
  const day = String(1 + Math.floor(random() * 28)).padStart(2, ' ')
  const clock = [24, 60, 60]
    .map((most) => String(Math.floor(random() * most)).padStart(2, '0'))
    .join(':')
  const year = pick(random, [1971, 1999, 2008, 2024])
  const zone = pick(random, ['+0000', '-0330', '+1245'])
  return {
    flags: flags.filter(() => random() < 0.2),
    date: `${day}-${pick(random, months as [string, ...string[]])}-${year} ${clock} ${zone}`,
    body: Buffer.from(text, 'latin1'),
  }
}

/** Some messages, look-alikes among them; some larger than what streams. */
export function nastyMessages(random: Random, count: number): RawMessage[] {
  const messages: RawMessage[] = []
  while (messages.length < count) {
    const [, text] = pick(random, oddities as [[string, string], ...[string, string][]])
    const kind = random()
    const before = messages.at(-1)
    if (kind < 0.15 && before !== undefined) messages.push(before)
    else if (kind < 0.5) messages.push(message(random, text))
    else if (kind < 0.52) {
      const bytes = pick(random, [1_048_575, 1_048_576, 1_048_577, 1_500_000])
      messages.push(message(random, head + 'y'.repeat(bytes - head.length)))
    } else {
      const id = Math.floor(random() * 1e6)
      const lines = 'line\r\n'.repeat(Math.floor(random() * 60))
      messages.push(message(random, `Message-Id: <${id}@x>\r\n${head}\r\n${lines}`))
    }
  }
  return messages
}

/** Names as they are on the wire; `/` between levels. */
export const nastyFolders = [
  'INBOX',
  'a/b/c',
  'Entw&APw-rfe &- Co',
  '&ZeVnLIqe-',
  'two  blanks',
  "it's (mine) {3}",
  '100%_*',
  'UPPER',
  'upper',
  'Sent',
] as const

/** Fills a mailbox; every second folder is subscribed. */
export async function fillNasty(imap: RawImap, seed: number, perFolder: number): Promise<void> {
  const random = randomOf(seed)
  for (const [index, folder] of nastyFolders.entries()) {
    if (folder !== 'INBOX') await imap.command(`CREATE "${folder}"`)
    if (index % 2 === 0) await imap.command(`SUBSCRIBE "${folder}"`)
    const count = folder === 'UPPER' ? 0 : Math.ceil(random() * perFolder)
    await imap.append(folder, nastyMessages(random, count))
  }
}
