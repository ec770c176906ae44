/** Exim as script/setup unpacks it, asked where an address leads: nothing is sent. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, globSync, mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { TempDir } from './temp-dir.ts'
import { runTool } from './tools.ts'

const root = fileURLToPath(new URL('../../.cache/exim4', import.meta.url))
const program = `${root}/usr/sbin/exim4`

/** Why there is none; false where there is one. Under CI=true there must be. */
export function skipWithoutExim(): string | false {
  if (existsSync(program)) return false
  const reason = 'exim4 is not unpacked; script/setup does it'
  if (process.env['CI'] === 'true') throw new Error(reason)
  return reason
}

/** Sendmail aliases in `aliases`, users of our domains that all exist, one host for all else. */
function configOf(dir: TempDir, aliases: string): string {
  return `exim_user = Debian-exim
spool_directory = ${dir.join('exim')}
log_file_path = ${dir.join('exim')}/%slog
keep_environment =
primary_hostname = mx1.example.com
qualify_domain = example.com
domainlist local_domains = example.com : example.net
begin routers
aliases:
  driver = redirect
  domains = example.com
  data = \${lookup{$local_part}lsearch{${aliases}}}
users:
  driver = accept
  domains = +local_domains
  transport = none
outside:
  driver = manualroute
  route_list = * 10.0.0.12
  transport = none
begin transports
none:
  driver = lmtp
  socket = /nowhere
`
}

export class Exim {
  readonly #dir: TempDir
  readonly #config: string
  readonly #environment: readonly string[]

  constructor(dir: TempDir, aliases: string) {
    this.#dir = dir
    this.#config = dir.join('exim.conf')
    // It is told as whom to work by name, of a user that its package would make.
    const user = process.getuid?.() === 0 ? 64_999 : process.getuid?.()
    writeFileSync(dir.join('passwd'), `root:x:0:0::/:\nDebian-exim:x:${user}:${user}::/:\n`)
    writeFileSync(dir.join('group'), `root:x:0:\nDebian-exim:x:${user}:\n`)
    mkdirSync(dir.join('exim'), { mode: 0o777 })
    chmodSync(dir.join('exim'), 0o777)
    chmodSync(dir.path, 0o755)
    writeFileSync(this.#config, configOf(dir, aliases))
    this.#environment = [
      `LD_PRELOAD=${globSync(`${root}/usr/lib/*/libnss_wrapper.so`).join()}`,
      `LD_LIBRARY_PATH=${globSync(`${root}/{usr/,}lib/*/`).join(':')}`,
      `NSS_WRAPPER_PASSWD=${dir.join('passwd')}`,
      `NSS_WRAPPER_GROUP=${dir.join('group')}`,
    ]
  }

  /** Where mail for an address ends up, sorted; fails where any of it cannot be told. */
  async finalAddresses(address: string): Promise<string[]> {
    const args = [...this.#environment, program, '-C', this.#config, '-bt', address]
    const { code, stdout, stderr } = await runTool(this.#dir.path, 'env', args)
    // Said to whoever is not root.
    const faults = stderr.replace(/^.* lost privilege for using -C option\n/m, '')
    assert.deepEqual([code, faults], [0, ''], `${address}: ${stdout}`)
    return stdout
      .split('\n')
      .filter((line) => /^\S/.test(line) && !line.endsWith('[duplicate, would not be delivered]'))
      .toSorted()
  }
}
