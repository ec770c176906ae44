/**
 * The config of one small Dovecot: IMAP, POP3, LMTP and where wanted ManageSieve (which a package of
 * its own adds) on ports of the loopback address, users and plain passwords in one file, Maildir.
 * Everything is inside one folder. 2.4 renamed much of what 2.3 understands, and asks for the version
 * that a config was written for.
 */
import { join } from 'node:path'

/** TLS ports are there where there is a certificate; that of ManageSieve is 0 where it is not spoken. */
export interface DovecotPorts {
  readonly imap: number
  readonly pop3: number
  readonly lmtp: number
  readonly sieve: number
  readonly imaps: number
  readonly pop3s: number
  readonly lmtps: number
}

export interface DovecotUser {
  /** The full address; it is the login, too. */
  readonly address: string
  readonly password: string
  /** The most that the mailbox may hold; without it there is no limit. */
  readonly quotaKib?: number
}

export type DovecotRelease = '2.3' | '2.4'

export interface DovecotSettings {
  readonly release: DovecotRelease
  readonly folder: string
  readonly hostname: string
  readonly ports: DovecotPorts
  readonly hasCertificate: boolean
  /** Some user has one. */
  readonly hasQuota: boolean
  /** Somebody may log in for others, as `user*admin` or by PLAIN. */
  readonly hasAdmin: boolean
  /** The names of the user and group it runs as, where it is not started by root. */
  readonly account: { readonly user: string; readonly group: string } | undefined
  /** More lines, which may change what others set. */
  readonly further: readonly string[]
}

export const dovecotFiles = {
  config: 'dovecot.conf',
  users: 'users',
  admins: 'admins',
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
  const path: PathOf = (name) => join(folder, dovecotFiles[name])
  const lines = [
    ...versionLines(settings.release),
    `base_dir = ${path('run')}`,
    `state_dir = ${path('state')}`,
    `log_path = ${path('log')}`,
    `hostname = ${hostname}`,
    'listen = 127.0.0.1',
    `protocols = imap pop3 lmtp${ports.sieve === 0 ? '' : ' sieve'}`,
    '',
    '# All clients come from the address of the front end: one that fails to log in must not slow',
    '# down the others, which login_trusted_networks alone does not keep Dovecot 2.3.19 from doing.',
    'login_trusted_networks = 127.0.0.1',
    'service anvil {',
    '  unix_listener anvil-auth-penalty {',
    '    mode = 0',
    '  }',
    '}',
    'auth_failure_delay = 0',
    'auth_mechanisms = plain login scram-sha-256 scram-sha-1',
    'mail_max_userip_connections = 100',
    '# Root may not own mailboxes; any other user may.',
    'first_valid_uid = 1',
    ...loginAndMailLines(settings.release, path),
    'namespace inbox {',
    '  inbox = yes',
    '  separator = /',
    '}',
    ...(settings.hasAdmin ? adminLines(settings.release, path) : []),
    ...quotaLines(settings),
    ...tlsLines(settings, path),
    ...listenerLines(ports),
    ...accountLines(settings),
    ...settings.further,
  ]
  return `${lines.join('\n')}\n`
}

type PathOf = (name: keyof typeof dovecotFiles) => string

function versionLines(release: DovecotRelease): string[] {
  if (release === '2.3') return []
  return ['dovecot_config_version = 2.4.0', 'dovecot_storage_version = 2.4.0']
}

function loginAndMailLines(release: DovecotRelease, path: PathOf): string[] {
  if (release === '2.3') {
    return [
      'disable_plaintext_auth = no',
      'auth_username_format = %Lu',
      `mail_location = maildir:${path('mail')}/%u`,
      ...['passdb', 'userdb'].flatMap((block) => [
        `${block} {`,
        '  driver = passwd-file',
        `  args = ${path('users')}`,
        '}',
      ]),
    ]
  }
  return [
    'auth_allow_cleartext = yes',
    'auth_username_format = %{user | lower}',
    'mail_driver = maildir',
    `mail_path = ${path('mail')}/%{user}`,
    ...['passdb', 'userdb'].flatMap((block) => [
      `${block} passwd-file {`,
      `  passwd_file_path = ${path('users')}`,
      '}',
    ]),
  ]
}

function adminLines(release: DovecotRelease, path: PathOf): string[] {
  const lookUp =
    release === '2.3'
      ? ['passdb {', '  driver = passwd-file', `  args = ${path('admins')}`]
      : ['passdb admins {', '  driver = passwd-file', `  passwd_file_path = ${path('admins')}`]
  const rest = ['  master = yes', '  result_success = continue', '}']
  return ['auth_master_user_separator = *', ...lookUp, ...rest]
}

function quotaLines({ hasQuota, release }: DovecotSettings): string[] {
  if (!hasQuota) return []
  if (release === '2.4')
    return ['mail_plugins {', '  quota = yes', '}', 'quota "User quota" {', '}']
  const rules = ['quota = count:User quota', 'quota_vsizes = yes', 'quota_grace = 0']
  return ['mail_plugins = quota', 'plugin {', ...rules.map((rule) => `  ${rule}`), '}']
}

function tlsLines({ hasCertificate, release }: DovecotSettings, path: PathOf): string[] {
  if (!hasCertificate) return ['ssl = no']
  const files =
    release === '2.3'
      ? [`ssl_cert = <${path('cert')}`, `ssl_key = <${path('key')}`]
      : [`ssl_server_cert_file = ${path('cert')}`, `ssl_server_key_file = ${path('key')}`]
  return ['ssl = yes', ...files]
}

function listenerLines(ports: DovecotPorts): string[] {
  return [
    ...service('imap-login', ports, 'imap', 'imaps'),
    ...service('pop3-login', ports, 'pop3', 'pop3s'),
    ...service('lmtp', ports, 'lmtp', 'lmtps'),
    ...(ports.sieve === 0 ? [] : sieveService(ports)),
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

/** ManageSieve has STARTTLS alone (RFC 5804 section 1.1). */
function sieveService(ports: DovecotPorts): string[] {
  return ['service managesieve-login {', ...listener('sieve', ports.sieve, false), '}']
}

/** Port 0 turns off a listener that Dovecot has by default. */
function listener(name: PortName, port: number, hasTls: boolean): string[] {
  const tls = hasTls ? ['    ssl = yes'] : []
  return [`  inet_listener ${name} {`, `    port = ${port}`, ...tls, '  }']
}

/** An ordinary user can neither change to the users of Debian's package nor lock himself in. */
function accountLines({ account, ports }: DovecotSettings): string[] {
  if (account === undefined) return []
  const confined = ['anvil', 'imap-login', 'pop3-login']
  if (ports.sieve > 0) confined.push('managesieve-login')
  return [
    `default_internal_user = ${account.user}`,
    `default_internal_group = ${account.group}`,
    `default_login_user = ${account.user}`,
    ...confined.flatMap((name) => [`service ${name} {`, '  chroot =', '}']),
  ]
}

/** The text of the file of users; mail belongs to `owner`. */
export function dovecotUsers(
  users: readonly DovecotUser[],
  owner: { readonly uid: number; readonly gid: number },
  mailFolder: string,
): string {
  return users
    .map(({ address, password, quotaKib }) => {
      const home = join(mailFolder, address)
      return `${address}:{PLAIN}${password}:${owner.uid}:${owner.gid}::${home}::${quota(quotaKib)}\n`
    })
    .join('')
}

/** By the names of both releases: what one does not know, it passes over. */
function quota(kib: number | undefined): string {
  if (kib === undefined) return ''
  return `userdb_quota_rule=*:storage=${kib}K userdb_quota_storage_size=${kib}K`
}
