/** Rounds of mail programs that keep a Maildir and an IMAP mailbox alike: mbsync and OfflineIMAP. */
import { globSync, mkdirSync, readFileSync, renameSync, utimesSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { brief, password, sinceLogin, type Twin } from './twin.ts'

/** Of the protocol, and not what a program tells of its own work meanwhile. */
const ofProtocol = /^(?:>>> |\* |\d+ (?:OK|NO|BAD)|\+ |\))/

/** A Maildir and those below it: of each the messages with their flags, whatever their files are called. */
function messagesIn(twin: Twin, near: string): Record<string, string[]> {
  const found: Record<string, string[]> = {}
  for (const folder of globSync(`${near}/**/cur`).map(dirname)) {
    found[relative(near, folder)] = globSync(`${folder}/{cur,new}/*`)
      .map((file) => {
        const flags = /:2,(\w*)$/.exec(file)?.[1] ?? ''
        return `${flags}\n${brief(twin.neutral(readFileSync(file, 'latin1')))}`
      })
      .sort()
  }
  return found
}

/** Flags a message, takes one away, adds one, and makes a folder with another. */
function change(near: string): void {
  const inbox = join(near, 'INBOX')
  for (const file of globSync(`${inbox}/{cur,new}/*`)) {
    const bare = basename(file).replace(/:2,\w*$/, '')
    const subject = /^Subject: (.*?)\r?$/m.exec(readFileSync(file, 'latin1'))?.[1]
    if (subject === 'large') renameSync(file, join(inbox, 'cur', `${bare}:2,FS`))
    if (subject === 'dots') renameSync(file, join(inbox, 'cur', `${bare}:2,T`))
  }
  for (const box of [inbox, join(near, 'made')]) {
    for (const part of ['cur', 'new', 'tmp']) mkdirSync(join(box, part), { recursive: true })
    const text = `From: a@example.net\nDate: Tue, 3 Nov 2020 12:00:00 +0000\nSubject: own\n\n.own\n`
    const file = join(box, 'cur', '1604404800.own.host:2,RS')
    writeFileSync(file, text)
    // It becomes the time at which it came.
    utimesSync(file, 1_604_404_800, 1_604_404_800)
  }
}

export async function mbsyncRound(twin: Twin): Promise<unknown> {
  const near = twin.join('near')
  mkdirSync(near)
  const file = twin.write(
    'mbsyncrc',
    `IMAPAccount site
Host localhost
Port ${twin.ports.imap}
User ${twin.login}
Pass "${password}"
AuthMechs LOGIN
SSLType STARTTLS
SystemCertificates no
CertificateFile ${twin.caFile}
PipelineDepth 1

IMAPStore far
Account site

MaildirStore near
Path ${near}/
Inbox ${near}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
Sync All
CopyArrivalDate yes
SyncState *
`,
  )
  const seen: unknown[] = []
  const sync = async (): Promise<void> => {
    const { stdout, stderr } = await twin.run('mbsync', '-c', file, '-Dn', 'all')
    const said = sinceLogin(twin.neutral(stdout)).filter((line) => ofProtocol.test(line))
    seen.push(said, stderr, messagesIn(twin, near))
  }
  await sync()
  change(near)
  await sync()
  using imap = await twin.imap()
  await imap.command('SELECT INBOX')
  await imap.command('STORE 1 +FLAGS (\\Flagged)')
  await imap.command('STORE 2 +FLAGS (\\Deleted)')
  await imap.command('EXPUNGE')
  await sync()
  return seen
}

export async function offlineimapRound(twin: Twin): Promise<unknown> {
  const { imap, imaps } = twin.ports
  // After STARTTLS its library now and then waits for ever, whoever is at the other end.
  const tls =
    twin.backend === 'fritz'
      ? `remoteport = ${imaps}\nssl = yes\nsslcacertfile = ${twin.caFile}`
      : `remoteport = ${imap}\nssl = no\nstarttls = no`
  const near = twin.join('near')
  mkdirSync(near)
  const file = twin.write(
    'offlineimaprc',
    `[general]
accounts = site
metadata = ${twin.join('metadata')}
ui = basic
[Account site]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = ${near}
[Repository far]
type = IMAP
remotehost = localhost
${tls}
remoteuser = ${twin.login}
remotepass = ${password}
maxconnections = 1
`,
  )
  const seen: unknown[] = []
  const sync = async (): Promise<void> => {
    // It does the flags of a message in the order of their hashes.
    const words = ['PYTHONHASHSEED=0', 'offlineimap', '-o', '-c', file]
    const { stdout, stderr } = await twin.run('env', ...words)
    const told = twin.neutral(stdout).replace(/(?<=' in )\d+:\d+/, 'a moment')
    seen.push(told, twin.neutral(stderr), messagesIn(twin, near))
  }
  await sync()
  change(near)
  await sync()
  return seen
}
