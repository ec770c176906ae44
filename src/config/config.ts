/** The config as the program uses it: validated, defaults filled in, paths absolute, units resolved. */
import type { Position } from '../base/position.ts'
import type { Window } from '../base/window.ts'
import type { Naming } from '../mail/address.ts'
import type { DatabaseConfig } from './database-config.ts'
import type { QueryKey } from '../mail/query-key.ts'

export type TlsMode = 'none' | 'starttls' | 'implicit'
/** Whose sessions log in and are joined to a back-end. */
export type LoginService = 'imap' | 'pop3' | 'sieve' | 'submission'
export type Service = 'smtp' | 'lmtp' | LoginService
/** What a back-end can be spoken to with. */
export type BackendProtocol = Service

/** `own`: as addresses that lead to the user; with null, also as nobody, as receipts are sent. */
export type SenderCheck = 'none' | 'own' | 'own-or-null'

/** How clients of the proxies may log in with SASL. */
export type Mechanism =
  | 'PLAIN'
  | 'LOGIN'
  | 'SCRAM-SHA-256'
  | 'SCRAM-SHA-1'
  | 'OAUTHBEARER'
  | 'XOAUTH2'
  | 'EXTERNAL'

/** What of a client's certificate names its user: of its subjectAltName, or of its subject. */
export type CertificateField = 'rfc822Name' | 'emailAddress' | 'commonName'

/** A directory that judges passwords: whoever it lets log in knows the one of that entry. */
export interface LdapBindConfig {
  readonly url: string
  readonly host: string
  /** starttls: over an `ldap://` connection; implicit: the URL says `ldaps://`. */
  readonly tls: TlsMode
  readonly tlsCaFile: string | undefined
  /** With `{user}`, `{local}` and `{domain}` for parts of the canonical user. */
  readonly dn: string
}

/** PEM files. */
export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
}

export interface Endpoint {
  readonly host: string
  readonly port: number
  readonly tls: TlsMode
}

/** How a back-end is told whom a connection or message is for. */
export type ClientPassing = 'none' | 'xclient' | 'xforward' | 'id' | 'proxy-v1' | 'proxy-v2'

/** A login that may act for every user of a back-end. */
export interface AdminConfig {
  readonly user: string
  readonly passwordFile: string
  /** master: `user*admin` logs in; authzid: SASL PLAIN says for whom the admin acts. */
  readonly style: 'master' | 'authzid'
  /** Stands between the two names of style master. */
  readonly separator: string
}

/** Who logs in at the smarthost for users that send by it. */
export type SmarthostLogin =
  /** Nobody: it is told by XCLIENT whom we have let in. */
  'xclient' | { readonly user: string; readonly passwordFile: string }

/** What copying mailboxes may take of one server; undefined: as much as it gives. */
export interface MigrateLimits {
  /** Connections at once. */
  readonly connections: number | undefined
  readonly bytesPerSecond: number | undefined
  readonly commandsPerSecond: number | undefined
  /** A server that takes longer to answer, on average, is given less. 0: never. */
  readonly latencyLimitMs: number
  /** By the calendar of this host, over all runs. */
  readonly bytesPerDay: number | undefined
  /** By COMPRESS=DEFLATE, where that is offered. */
  readonly compress: boolean
}

export interface BackendConfig {
  readonly name: string
  readonly host: string
  readonly endpoints: Readonly<Partial<Record<BackendProtocol, Endpoint>>>
  /** PEM text of the authorities that may vouch for it; the system's where absent. */
  readonly tlsCaFile: string | undefined
  /** The name its certificate must bear. */
  readonly tlsName: string
  /** Digests of keys, as `sha256//BASE64`, of which its certificate must have one; none: any key. */
  readonly tlsPins: readonly string[]
  /** What we show of ourselves. */
  readonly tlsClient: CertificateFiles | undefined
  /** The most connections for messages that this host has to it at once. */
  readonly connections: number
  /** The most logins of this host that are under way there at once. */
  readonly logins: number
  readonly clientAddress: ClientPassing
  /** draining: no command gives it new users. What the map says of users is not changed by it. */
  readonly state: 'online' | 'draining'
  readonly admin: AdminConfig | undefined
  readonly migrate: MigrateLimits
}

export interface ListenerConfig {
  readonly service: Service
  readonly host: string
  /** 0: any free port; the bound one is in `daemon.ready` and in `mailmux status`. */
  readonly port: number
  readonly tls: TlsMode
  /** SMTP: who talks before our greeting, which waits so long, is sent away. */
  readonly greetingDelayMs: number
  readonly bareNewline: 'reject' | 'normalize'
  /** Logins in clear text from other hosts than this one. */
  readonly authAllowCleartext: boolean
  /** Clients are asked for certificates, where anybody can be. */
  readonly asksCertificate: boolean
  /** A proxy comes first, and says by PROXY whose connection it passes on. */
  readonly hasProxyHeader: boolean
}

export interface MetricsListener {
  readonly host: string
  readonly port: number
}

export interface MapConfig {
  /** Text, as files or directories; absent where the site has none. */
  readonly aliases: string | undefined
  readonly userMap: string | undefined
  readonly popmap: string | undefined
  /** What popmap is asked for; empty: addresses, as every source is. */
  readonly queryKeys: readonly QueryKey[]
  readonly rules: string | undefined
  /** Databases that fill sources, besides text or alone. */
  readonly databases: readonly DatabaseConfig[]
  readonly database: string
  /** The share of users that one build may send elsewhere, 0 to 1. */
  readonly maxChanged: number
  /** How many old bases are kept. */
  readonly history: number
}

/** So many in a time. */
export interface RateLimit {
  readonly count: number
  readonly periodMs: number
}

/** What one address may have; of IPv6, one /64. */
export interface AddressLimits {
  /** Sessions at once; 0: as many as there is room for. */
  readonly sessions: Readonly<Record<Service, number>>
  /** New connections, for each service. */
  readonly connections: RateLimit | undefined
  readonly messages: RateLimit | undefined
  readonly recipients: RateLimit | undefined
  /** Failed logins, of all services; beyond them none is tried. */
  readonly authFailures: RateLimit | undefined
  /** Networks that have no such limits. */
  readonly exempt: readonly string[]
}

export interface LimitConfig {
  readonly sessions: number
  readonly perAddress: AddressLimits
  readonly messageSizeBytes: number
  /** Failed logins on this host beyond which an alarm is raised. */
  readonly guessAlarm: RateLimit
  readonly authFailureDelayMs: number
  readonly connectTimeoutMs: number
  readonly loginTimeoutMs: number
  readonly preauthTimeoutMs: number
  readonly commandTimeoutMs: number
  readonly dataTimeoutMs: number
  readonly sessionTimeoutMs: number
  readonly drainTimeoutMs: number
}

/** What the relay does with a message that one back-end alone does not settle. */
export interface RelayConfig {
  /** split: recipients of a second back-end are to come in another transaction. */
  readonly fanOut: 'all' | 'split'
  /** How long one back-end may hold up a message that others take. */
  readonly stallMs: number
  readonly onBackendDown: 'answer' | 'spool'
}

/** Of users who are being moved. */
export interface MoveConfig {
  /** How long a login waits for the end of a freeze; 0: not at all. */
  readonly holdMs: number
  /** A pass that takes no longer is short enough to be made in a freeze. */
  readonly freezeTargetMs: number
  /** A freeze that would take longer is given up. */
  readonly freezeLimitMs: number
  /** How long the frozen mailbox is watched before the user moves; 0: no longer than work takes. */
  readonly quietMs: number
  /** How long the mailbox stays where the user was. */
  readonly retainMs: number
  /** How often the daemon looks what is due of moves; 0: not at all. */
  readonly dueEveryMs: number
}

export interface MigrateConfig {
  /** In which `migrate` copies; none: always. */
  readonly windows: readonly Window[]
  /** Of each server that is no back-end of ours. */
  readonly outside: MigrateLimits
}

/** What is kept of messages that were accepted and are still owed to somebody; in `stateDir`. */
export interface SpoolConfig {
  readonly maxSizeBytes: number
  readonly maxMessages: number
  readonly maxAgeMs: number
  readonly warnAfterMs: number
}

/** Where the file names what a source may leave unused. */
export interface ConfigPlaces {
  readonly backends: ReadonlyMap<string, Position>
  /** By canonical domain. */
  readonly domains: ReadonlyMap<string, Position>
}

export interface Config {
  /** The file it came from, absolute. */
  readonly file: string
  readonly places: ConfigPlaces
  readonly hostname: string
  readonly naming: Naming
  /** Name of the back-end for addresses elsewhere. */
  readonly smarthost: string | undefined
  /** Set where users send by it whose own back-ends have no submission port. */
  readonly smarthostLogin: SmarthostLogin | undefined
  /** Address for `<postmaster>` without a domain. */
  readonly postmaster: string
  readonly backends: ReadonlyMap<string, BackendConfig>
  readonly map: MapConfig
  readonly listeners: readonly ListenerConfig[]
  /** Where metrics and health are served; port 0: any free one. */
  readonly metrics: readonly MetricsListener[]
  readonly tls: {
    readonly certificates: readonly CertificateFiles[]
    readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
    /** PEM file of the authorities whose certificates log clients in; undefined: nobody is asked. */
    readonly clientCaFile: string | undefined
    /** Their revocation lists; undefined: none are looked at. */
    readonly clientCrlFile: string | undefined
    readonly clientUser: CertificateField
  }
  /** Networks that may say whom they speak for: PROXY, XCLIENT, XFORWARD. */
  readonly trustedProxies: readonly string[]
  /** Whether the names of clients are looked up, and where; the system's servers where none is named. */
  readonly clientNames: 'dns' | 'none'
  readonly dnsServers: readonly string[]
  readonly limits: LimitConfig
  readonly relay: RelayConfig
  /** What may be offered at most, by service; all where it is absent. */
  readonly mechanisms: Readonly<Partial<Record<LoginService, readonly Mechanism[]>>>
  /** Names and hashes of passwords, where logins are judged here; undefined where back-ends do. */
  readonly passwdFile: string | undefined
  /** A directory that judges them instead. */
  readonly ldapBind: LdapBindConfig | undefined
  /** Submission: whom a user may send as. */
  readonly checkSender: SenderCheck
  readonly move: MoveConfig
  readonly migrate: MigrateConfig
  readonly spool: SpoolConfig
  /** How long a port of a back-end may be unused before it is probed; 0: for ever. */
  readonly probeIntervalMs: number
  readonly workers: number | 'auto'
  /** Whom workers run as where root starts the daemon, by name or number. */
  readonly user: string | undefined
  readonly group: string | undefined
  readonly stateDir: string
  readonly runDir: string
}
