/** The sample site: its people, the sources of its map, its config. */
import type { DovecotPorts } from './dovecot-config.ts'

export type BackendName = 'fritz' | 'ingrid'

export const domain = 'example.com'
export const password = 'secret'

/** Who moves mailboxes; the password is in the file that the config names. */
export const admin = { user: 'mailmux', password: 'moves', file: 'admin-password' } as const

/** Whose mailboxes each back-end has; the sources below say the same. */
export const residents: Readonly<Record<BackendName, readonly string[]>> = {
  fritz: ['bob', 'carl'],
  ingrid: ['ann', 'zoe'],
}

/** Both back-ends know all of them: anybody may be moved. */
export const people: readonly string[] = Object.values(residents).flat()

/** The map sources by file name. */
export const mapSources = {
  aliases: `# An address that stands for others.
team: bob, carl
`,
  user_map: `# Who lives where; asked before the rules.
ann@${domain}  ingrid
`,
  rules: `# Everyone else, by the first letter.
a-m  fritz
n-z  ingrid
`,
} as const

export interface FrontEndPorts {
  readonly smtp: number
  readonly imap: number
  readonly pop3: number
}

/** The text of mailmux.yaml. */
export function demoConfig(
  listen: FrontEndPorts,
  backends: Readonly<Record<BackendName, DovecotPorts>>,
): string {
  const backend = (name: BackendName): string => {
    const { lmtp, imap, pop3 } = backends[name]
    const moves = `admin: {user: ${admin.user}, password_file: ${admin.file}}`
    return `  ${name}: {host: 127.0.0.1, lmtp: ${lmtp}, imap: ${imap}, pop3: ${pop3}, ${moves}}`
  }
  const listener = (service: keyof FrontEndPorts): string =>
    `  ${service}: ["127.0.0.1:${listen[service]}"]`
  return `hostname: mx.${domain}
domains: [${domain}]
backends:
${backend('fritz')}
${backend('ingrid')}
map: {aliases: aliases, user_map: user_map, rules: rules}
listen:
${listener('smtp')}
${listener('imap')}
${listener('pop3')}
limits: {drain_timeout: 1s}
state_dir: state
run_dir: run
`
}
