/** Mutt, driven as by a person in a terminal. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { runTool } from './tools.ts'
import { brief, password, type Twin } from './twin.ts'

export interface MuttAccount {
  readonly url: string
  readonly login: string
  readonly password: string
  readonly caFile: string
}

/** Writes its muttrc. */
export function prepareMutt(home: string, account: MuttAccount, lines: readonly string[]): void {
  const { url, login, caFile } = account
  const settings = [
    `set folder="${url}/" spoolfile="${url}/INBOX" postponed="" record=""`,
    `set imap_user="${login}" imap_pass="${account.password}" from="${login}"`,
    `set ssl_starttls=no ssl_force_tls=no certificate_file="${caFile}"`,
    'set confirmcreate=no confirmappend=no delete=yes quit=yes wait_key=no sort=mailbox-order',
    'set mail_check=600 timeout=600 imap_keepalive=600 mark_old=no save_empty=yes resolve=no sleep_time=0',
    ...lines,
  ]
  writeFileSync(`${home}/muttrc`, `${settings.join('\n')}\n`)
}

/** Keys that are pressed, in mutt's own words. */
const keys = [
  '<first-entry><flag-message>',
  '<pipe-message>cat > first.txt<enter>',
  '<next-entry><copy-message><kill-line>=copies<enter>',
  '<delete-message><sync-mailbox>',
  // What is in the messages is looked for by the server.
  '<limit>=b "no line end"<enter><pipe-message>cat > found.txt<enter><limit>all<enter>',
  '<change-folder><kill-line>=copies<enter><pipe-message>cat > copied.txt<enter>',
  '<save-message><kill-line>=INBOX<enter><sync-mailbox>',
  '<change-folder><kill-line>=INBOX<enter><last-entry><pipe-message>cat > saved.txt<enter>',
  '<quit>',
]

export async function muttRound(twin: Twin): Promise<unknown> {
  const { imap, imaps } = twin.ports
  const url = twin.backend === 'fritz' ? `imaps://localhost:${imaps}` : `imap://localhost:${imap}`
  const account = { url, login: twin.login, password, caFile: twin.caFile }
  const push = keys.map((part) => `push '${part}'`).toReversed()
  prepareMutt(twin.home, account, push)
  await runInTerminal(twin.home)
  const read = (name: string) => twin.neutral(readFileSync(twin.join(name), 'latin1'))
  return {
    dialogue: dialogueIn(read('.muttdebug0')),
    files: ['first', 'found', 'copied', 'saved'].map((name) => brief(read(`${name}.txt`))),
  }
}

/** Runs it in a terminal of tmux, in a home of its own, until it ends by itself. */
async function runInTerminal(home: string): Promise<void> {
  const socket = `${home}/tmux`
  const tmux = `tmux -S ${socket}`
  const inside = `cd ${home} && HOME=${home} mutt -F muttrc -d 2; ${tmux} wait-for -S over`
  const begin = `${tmux} -f /dev/null new-session -d -x 100 -y 30 "$1"`
  const script = `${begin} && ${tmux} wait-for over && echo over`
  const { stdout } = await runTool(home, 'timeout', ['30', 'sh', '-c', script, 'sh', inside])
  if (stdout === 'over\n') return
  const screen = await runTool(home, 'tmux', ['-S', socket, 'capture-pane', '-p'])
  await runTool(home, 'tmux', ['-S', socket, 'kill-server'])
  assert.fail(screen.stdout)
}

/** Lines that went both ways from where it opens its folder on; of several at once only the first has a mark. */
function dialogueIn(log: string): string[] {
  const lines = log.split(/\r?\n/).flatMap((line) => {
    const [, text] = /^(?:\[[^\]]*\] \d*(?=[<>] )|(?=a\d{4} ))(.*)$/.exec(line) ?? []
    return text === undefined ? [] : [text]
  })
  return lines.slice(lines.findIndex((line) => / (?:MYRIGHTS|SELECT) /.test(line)))
}
