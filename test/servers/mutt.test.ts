/** Mutt, driven as by a person in a terminal: its whole round through the proxies, and directly. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { password, RealSite } from '../support/real-site.ts'
import { skipWithout } from '../support/tools.ts'

const skip = skipWithout('dovecot', 'openssl', 'mutt', 'tmux')

/** Keys that are pressed, in mutt's own words. */
const keys = [
  '<first-entry><flag-message>',
  '<pipe-message>cat > first.txt<enter>',
  '<next-entry><copy-message><kill-line>=copies<enter>',
  '<delete-message><sync-mailbox>',
  // What is in the messages is looked for by the server.
  '<limit>=b "text of third"<enter><pipe-message>cat > found.txt<enter><limit>all<enter>',
  '<change-folder><kill-line>=copies<enter><pipe-message>cat > copied.txt<enter>',
  '<save-message><kill-line>=INBOX<enter><sync-mailbox>',
  '<change-folder><kill-line>=INBOX<enter><last-entry><pipe-message>cat > saved.txt<enter>',
  '<quit>',
]

interface Round {
  readonly name: string
  readonly url: string
  readonly lines?: readonly string[]
}

interface Seen {
  /** What it and the server said from the login on. */
  readonly dialogue: string
  readonly files: readonly string[]
}

describe('mutt', { skip }, () => {
  let site: RealSite
  before(async () => {
    site = await RealSite.start({ submission: true, backendTls: 'starttls' })
    for (const one of ['first', 'second', 'third']) {
      const file = site.dir.join(one)
      const head = `Date: Mon, 2 Nov 2026 10:00:00 +0000\nFrom: a@example.net\nSubject: ${one}\n`
      writeFileSync(file, `${head}Message-Id: <${one}@example.net>\n\ntext of ${one}\n`)
      for (const user of ['zoe', 'ute']) {
        await site.ingrid.doveadm('save', '-u', `${user}@example.com`, '-m', 'INBOX', file)
      }
    }
  })
  after(() => site[Symbol.asyncDispose]())

  /** Runs it in a terminal of tmux, in a home of its own, until it ends by itself. */
  async function run(home: string): Promise<void> {
    const socket = join(home, 'tmux')
    const tmux = `tmux -S ${socket}`
    const inside = `cd ${home} && HOME=${home} mutt -F muttrc -d 2; ${tmux} wait-for -S over`
    const begin = `${tmux} -f /dev/null new-session -d -x 100 -y 30 "$1"`
    const script = `${begin} && ${tmux} wait-for over && echo over`
    const { stdout } = await site.tool('timeout', '30', 'sh', '-c', script, 'sh', inside)
    if (stdout === 'over\n') return
    const screen = await site.tool('tmux', '-S', socket, 'capture-pane', '-p')
    await site.tool('tmux', '-S', socket, 'kill-server')
    assert.fail(screen.stdout)
  }

  function homeFor({ name, url, lines = [] }: Round, user: string): string {
    const home = site.dir.join(name)
    mkdirSync(home)
    const settings = [
      `set folder="${url}/" spoolfile="${url}/INBOX" postponed="" record=""`,
      `set imap_user="${user}@example.com" imap_pass="${password}" from="${user}@example.com"`,
      `set ssl_starttls=no ssl_force_tls=no certificate_file="${site.caFile}"`,
      'set confirmcreate=no confirmappend=no delete=yes quit=yes wait_key=no sort=mailbox-order',
      'set mail_check=600 timeout=600 imap_keepalive=600 mark_old=no save_empty=yes resolve=no sleep_time=0',
      ...lines,
    ]
    writeFileSync(join(home, 'muttrc'), `${settings.join('\n')}\n`)
    return home
  }

  async function round(one: Round, user: string): Promise<Seen> {
    const push = keys.map((part) => `push '${part}'`).toReversed()
    const home = homeFor({ ...one, lines: [...(one.lines ?? []), ...push] }, user)
    await run(home)
    const log = readFileSync(join(home, '.muttdebug0'), 'utf8')
    const files = ['first', 'found', 'copied', 'saved'].map((file) =>
      readFileSync(join(home, `${file}.txt`), 'utf8').replaceAll(user, 'USER'),
    )
    return { dialogue: dialogueIn(log).replaceAll(user, 'USER'), files }
  }

  test('the same keys make the same dialogue and the same mail as at the back-end itself', async () => {
    const { imap } = site.ingrid.ports
    const direct = await round({ name: 'direct', url: `imap://127.0.0.1:${imap}` }, 'zoe')
    const [first = '', found = '', copied = '', saved = ''] = direct.files
    assert.match(first, /^Subject: first$/m)
    assert.match(found, /^text of third$/m)
    assert.match(copied, /^Subject: second$/m)
    assert.equal(saved, copied)
    for (const verb of ['SELECT', 'FETCH', 'STORE', 'SEARCH', 'COPY', 'EXPUNGE', 'CREATE']) {
      assert.match(direct.dialogue, new RegExp(`^> .*${verb}`, 'm'))
    }
    const url = `imaps://localhost:${site.port('imap', 1)}`
    const proxied = await round({ name: 'proxied', url }, 'ute')
    assert.deepEqual(proxied.files, direct.files)
    assert.equal(proxied.dialogue, direct.dialogue)
  })

  test('it sends by submission, and keeps a copy by IMAP', async () => {
    const url = `imaps://localhost:${site.port('imap', 1)}`
    const home = homeFor({ name: 'sending', url }, 'zoe')
    const lines = [
      `set smtp_url="smtp://zoe@example.com@localhost:${site.port('submission')}"`,
      `set smtp_pass="${password}" ssl_starttls=yes copy=yes record="=Sent"`,
    ]
    writeFileSync(join(home, 'muttrc'), `${lines.join('\n')}\n`, { flag: 'a' })
    writeFileSync(join(home, 'letter'), '.a dot, and\n.\nmore\n')
    const send = `cd ${home} && exec mutt -F muttrc -s "by mutt" -- bob@example.com < letter`
    const { code, stderr } = await site.tool('sh', '-c', send)
    assert.equal(code, 0, stderr)
    const text = ['fetch', '-u', 'bob@example.com', 'text', 'mailbox', 'INBOX']
    const arrived = await site.fritz.doveadm(...text, 'SUBJECT', 'by mutt')
    assert.match(arrived, /^\.a dot, and\r?\n\.\r?\nmore\r?$/m)
    const kept = ['fetch', '-u', 'zoe@example.com', 'hdr.subject', 'mailbox', 'Sent']
    assert.match(await site.ingrid.doveadm(...kept), /^hdr\.subject: by mutt$/m)
  })
})

/** Lines that went both ways after the login, without what is another one at each run. */
function dialogueIn(log: string): string {
  const lines = log.split(/\r?\n/).flatMap((line) => {
    const [, text] = /^\[[^\]]*\] \d*([<>] .*)$/.exec(line) ?? []
    return text === undefined ? [] : [text]
  })
  return lines
    .slice(lines.findIndex((line) => / SELECT /.test(line)))
    .join('\n')
    .replace(/\([0-9.]+ \+ [0-9. +]+secs\)/g, '(time)')
    .replace(/((?:UIDVALIDITY|COPYUID|APPENDUID)) \d+/g, '$1 n')
    .replace(/INTERNALDATE "[^"]*"/g, 'INTERNALDATE date')
}
