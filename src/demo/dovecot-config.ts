/**
 * The config of one small Dovecot: IMAP, POP3 and LMTP on ports of the loopback address, users and
 * plain passwords in one file, Maildir. Everything is inside one folder. Written for Dovecot 2.3.
 */
import { join } from 'node:path'

/** TLS ports are there where there is a certificate. */
export interface DovecotPorts {
  readonly imap: number
  readonly pop3: number
  readonly lmtp: number
  readonly imaps: number
  readonly pop3s: number
  readonly lmtps: number
}

export interface DovecotUser {
  /** The full address; it is the login, too. */
  readonly address: string
  readonly password: string
}

export interface DovecotSettings {
  readonly folder: string
  readonly hostname: string
  readonly ports: DovecotPorts
  readonly hasCertificate: boolean
  /** The names of the user and group it runs as, where it is not started by root. */
  readonly account: { readonly user: string; readonly group: string } | undefined
}

export const dovecotFiles = {
  config: 'dovecot.conf',
  users: 'users',
  mail: 'mail',
  run: 'run',
  state: 'state',
  log: 'dovecot.log',
  cert: 'cert.pem',
  key: 'key.pem',
} as const

/** The text of dovecot.conf. */
export function dovecotConfig(settings: DovecotSettings): string {
  const { folder, hostname, ports } = settings
  const path = (name: keyof typeof dovecotFiles): string => join(folder, dovecotFiles[name])
  const lines = [
    `base_dir = ${path('run')}`,
    `state_dir = ${path('state')}`,
    `log_path = ${path('log')}`,
    `hostname = ${hostname}`,
    'listen = 127.0.0.1',
    'protocols = imap pop3 lmtp',
    '',
    '# All clients come from the address of the front end: one that fails to log in must not slow',
    '# down the others, which login_trusted_networks alone does not keep Dovecot 2.3.19 from doing.',
    'login_trusted_networks = 127.0.0.1',
    'service anvil {',
    '  unix_listener anvil-auth-penalty {',
    '    mode = 0',
    '  }',
    '}',
    'disable_plaintext_auth = no',
    'auth_username_format = %Lu',
    'auth_failure_delay = 0',
    'mail_max_userip_connections = 100',
    '# Root may not own mailboxes; any other user may.',
    'first_valid_uid = 1',
    `mail_location = maildir:${path('mail')}/%u`,
    'namespace inbox {',
    '  inbox = yes',
    '  separator = /',
    '}',
    ...lookup('passdb', `scheme=PLAIN ${path('users')}`),
    ...lookup('userdb', path('users')),
    ...tlsLines(settings, path),
    ...listenerLines(ports),
    ...accountLines(settings.account),
  ]
  return `${lines.join('\n')}\n`
}

function lookup(block: 'passdb' | 'userdb', args: string): string[] {
  return [`${block} {`, '  driver = passwd-file', `  args = ${args}`, '}']
}

function tlsLines(
  { hasCertificate }: DovecotSettings,
  path: (name: keyof typeof dovecotFiles) => string,
): string[] {
  if (!hasCertificate) return ['ssl = no']
  return ['ssl = yes', `ssl_cert = <${path('cert')}`, `ssl_key = <${path('key')}`]
}

function listenerLines(ports: DovecotPorts): string[] {
  return [
    ...service('imap-login', ports, 'imap', 'imaps'),
    ...service('pop3-login', ports, 'pop3', 'pop3s'),
    ...service('lmtp', ports, 'lmtp', 'lmtps'),
  ]
}

type PortName = keyof DovecotPorts

function service(name: string, ports: DovecotPorts, plain: PortName, tls: PortName): string[] {
  return [
    `service ${name} {`,
    ...listener(plain, ports[plain], false),
    ...listener(tls, ports[tls], ports[tls] !== 0),
    '}',
  ]
}

/** Port 0 turns off a listener that Dovecot has by default. */
function listener(name: PortName, port: number, hasTls: boolean): string[] {
  const tls = hasTls ? ['    ssl = yes'] : []
  return [`  inet_listener ${name} {`, `    port = ${port}`, ...tls, '  }']
}

/** An ordinary user can neither change to the users of Debian's package nor lock himself in. */
function accountLines(account: DovecotSettings['account']): string[] {
  if (account === undefined) return []
  return [
    `default_internal_user = ${account.user}`,
    `default_internal_group = ${account.group}`,
    `default_login_user = ${account.user}`,
    ...['anvil', 'imap-login', 'pop3-login'].flatMap((name) => [
      `service ${name} {`,
      '  chroot =',
      '}',
    ]),
  ]
}

/** The text of the file of users; mail belongs to `owner`. */
export function dovecotUsers(
  users: readonly DovecotUser[],
  owner: { readonly uid: number; readonly gid: number },
  mailFolder: string,
): string {
  return users
    .map(({ address, password }) => {
      const home = join(mailFolder, address)
      return `${address}:${password}:${owner.uid}:${owner.gid}::${home}::\n`
    })
    .join('')
}
