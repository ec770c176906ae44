/** Validated file → config: defaults, units, absolute paths. */
import { dirname, resolve } from 'node:path'
import { waits } from '../base/limit.ts'
import { canonicalDomain } from '../mail/domain.ts'
import { parseQueryKeys, type QueryKey } from '../mail/query-key.ts'
import type {
  AddressLimits,
  BackendConfig,
  BackendProtocol,
  Config,
  Endpoint,
  LdapBindConfig,
  LimitConfig,
  ListenerConfig,
  MetricsListener,
  MoveConfig,
  RelayConfig,
  Service,
  SmarthostLogin,
  SpoolConfig,
  TlsMode,
} from './config.ts'
import { isCredential } from './credentials.ts'
import { databasesOf, textsOf } from './filled-sources.ts'
import type { Locate } from './locate.ts'
import { migrateLimitsOf, migrateOf } from './normalize-migrate.ts'
import type { RawConfig } from './schema.ts'
import { services } from './services.ts'
import { parseDurationMs, parseListenAddress, parseRate, parseSizeBytes } from './unit.ts'

type RawBackend = RawConfig['backends'][string]

export const defaultRunDir = '/run/mailmux'

/** What a domain, written as it may be, is compared as; unusable ones are reported by check.ts. */
function domainOf(text: string): string {
  return canonicalDomain(text) ?? text.toLowerCase()
}

/** Unusable ones are reported by check.ts. */
function queryKeysOf(text: string | undefined): readonly QueryKey[] {
  const parsed = text === undefined ? [] : parseQueryKeys(text)
  return 'refused' in parsed ? [] : parsed
}

/** `file` is absolute; relative paths are taken from its folder. */
export function normalizeConfig(raw: RawConfig, file: string, locate: Locate): Config {
  const folder = dirname(file)
  const path = (relative: string): string => resolve(folder, relative)
  const optionalPath = (relative: string | undefined): string | undefined =>
    relative === undefined ? undefined : path(relative)
  const defaultDomain = domainOf(raw.default_domain ?? raw.domains[0] ?? raw.hostname)
  const stateDir = path(raw.state_dir ?? '/var/lib/mailmux')
  const certificates = raw.tls?.certificates ?? []
  return {
    file,
    places: placesOf(raw, locate),
    hostname: raw.hostname,
    naming: {
      domains: new Set(raw.domains.map(domainOf)),
      defaultDomain,
      recipientDelimiter: raw.recipient_delimiter ?? '+',
      foldCase: raw.fold_case ?? true,
    },
    smarthost: typeof raw.smarthost === 'object' ? raw.smarthost.backend : raw.smarthost,
    smarthostLogin: smarthostLoginOf(raw.smarthost, path),
    postmaster: raw.postmaster ?? `postmaster@${defaultDomain}`,
    backends: new Map(
      Object.entries(raw.backends).map(([name, backend]) => [name, backendOf(name, backend, path)]),
    ),
    map: {
      aliases: optionalPath(textsOf(raw.map?.aliases)[0]),
      userMap: optionalPath(textsOf(raw.map?.user_map)[0]),
      popmap: optionalPath(textsOf(raw.map?.popmap)[0]),
      queryKeys: queryKeysOf(raw.map?.query_key),
      rules: optionalPath(raw.map?.rules),
      databases: databasesOf(raw, path).flatMap(({ read }) =>
        'database' in read ? [read.database] : [],
      ),
      database:
        raw.map?.database === undefined ? resolve(stateDir, 'map.db') : path(raw.map.database),
      maxChanged: Number.parseFloat(raw.map?.max_changed ?? '10%') / 100,
      history: raw.map?.history ?? 10,
    },
    listeners: listenersOf(raw.listen ?? {}, certificates.length > 0),
    metrics: (raw.listen?.metrics ?? []).map(metricsListenerOf),
    tls: {
      certificates: certificates.map(({ cert, key }) => ({
        certFile: path(cert),
        keyFile: path(key),
      })),
      minVersion: raw.tls?.min_version ?? 'TLSv1.2',
      clientCaFile: optionalPath(raw.tls?.client_ca),
      clientCrlFile: optionalPath(raw.tls?.client_crl),
      clientUser: raw.tls?.client_user ?? 'rfc822Name',
    },
    trustedProxies: raw.trusted_proxies ?? [],
    clientNames: raw.client_names ?? 'dns',
    dnsServers: raw.dns_servers ?? [],
    limits: limitsOf(raw.limits ?? {}),
    relay: relayOf(raw),
    mechanisms: raw.mechanisms ?? {},
    passwdFile: raw.auth?.mode === 'verify' ? optionalPath(raw.auth.passwd_file) : undefined,
    ldapBind: ldapBindOf(raw.auth, optionalPath),
    checkSender: raw.check_sender ?? 'none',
    move: moveOf(raw.move ?? {}),
    migrate: migrateOf(raw.migrate ?? {}),
    spool: spoolOf(raw.spool ?? {}),
    probeIntervalMs: duration(raw.probe_interval, 60_000),
    workers: raw.workers ?? 'auto',
    user: raw.user === undefined ? undefined : String(raw.user),
    group: raw.group === undefined ? undefined : String(raw.group),
    stateDir,
    runDir: path(raw.run_dir ?? defaultRunDir),
  }
}

function listenersOf(
  listen: NonNullable<RawConfig['listen']>,
  hasCertificates: boolean,
): ListenerConfig[] {
  return services.flatMap((service) =>
    (listen[service] ?? []).map((listener) => listenerOf(service, listener, hasCertificates)),
  )
}

function placesOf(raw: RawConfig, locate: Locate): Config['places'] {
  return {
    backends: new Map(Object.keys(raw.backends).map((name) => [name, locate(['backends', name])])),
    domains: new Map(
      raw.domains.map((domain, index) => [domainOf(domain), locate(['domains', index], true)]),
    ),
  }
}

function backendOf(
  name: string,
  raw: RawBackend,
  path: (relative: string) => string,
): BackendConfig {
  const endpoints: Partial<Record<BackendProtocol, Endpoint>> = {}
  for (const protocol of services) {
    const value = raw[protocol]
    if (value === undefined) continue
    const { port, tls } = typeof value === 'number' ? { port: value, tls: undefined } : value
    endpoints[protocol] = { host: raw.host, port, tls: tls ?? raw.tls ?? 'none' }
  }
  return {
    name,
    host: raw.host,
    endpoints,
    tlsCaFile: raw.tls_ca === undefined ? undefined : path(raw.tls_ca),
    tlsName: raw.tls_name ?? raw.host,
    tlsPins: typeof raw.tls_pin === 'string' ? [raw.tls_pin] : (raw.tls_pin ?? []),
    tlsClient: raw.tls_client && {
      certFile: path(raw.tls_client.cert),
      keyFile: path(raw.tls_client.key),
    },
    connections: raw.connections ?? 500,
    logins: raw.logins ?? 500,
    clientAddress: raw.client_address ?? 'none',
    state: raw.state ?? 'online',
    admin: raw.admin && {
      user: raw.admin.user,
      passwordFile: secretFile(raw.admin.password_file, path),
      style: raw.admin.style ?? 'master',
      separator: raw.admin.separator ?? '*',
    },
    migrate: migrateLimitsOf(raw.migrate),
  }
}

/** A name in the folder of credentials is looked up by withCredentials. */
function secretFile(file: string, path: (relative: string) => string): string {
  return isCredential(file) ? file : path(file)
}

function smarthostLoginOf(
  raw: RawConfig['smarthost'],
  path: (relative: string) => string,
): SmarthostLogin | undefined {
  const submission = typeof raw === 'object' ? raw.submission : undefined
  if (submission === undefined || submission === 'xclient') return submission
  const { user, password_file: file } = submission
  return { user, passwordFile: secretFile(file, path) }
}

type RawListener = NonNullable<NonNullable<RawConfig['listen']>['smtp']>[number]

function listenerOf(service: Service, raw: RawListener, hasCertificates: boolean): ListenerConfig {
  const options = typeof raw === 'string' ? { address: raw } : raw
  const address = parseListenAddress(options.address) ?? { host: options.address, port: -1 }
  const defaultTls: TlsMode = hasCertificates ? 'starttls' : 'none'
  return {
    service,
    ...address,
    tls: options.tls ?? defaultTls,
    greetingDelayMs: duration(options.greeting_delay, 0),
    bareNewline: options.bare_newline ?? 'reject',
    authAllowCleartext: options.auth_allow_cleartext ?? false,
    asksCertificate: options.client_certificate !== 'none',
    hasProxyHeader: options.proxy === 'require',
  }
}

type RawMetricsListener = NonNullable<NonNullable<RawConfig['listen']>['metrics']>[number]

/** Unlike mail, numbers are for this host, where nothing else is said. */
function metricsListenerOf(raw: RawMetricsListener): MetricsListener {
  const text = typeof raw === 'string' ? raw : raw.address
  const address = parseListenAddress(text) ?? { host: text, port: -1 }
  return text.includes(':') ? address : { ...address, host: '127.0.0.1' }
}

function limitsOf(raw: NonNullable<RawConfig['limits']>): LimitConfig {
  return {
    sessions: raw.sessions ?? 20_000,
    perAddress: addressLimitsOf(raw),
    messageSizeBytes: parseSizeBytes(raw.message_size ?? '50MiB'),
    guessAlarm: parseRate(raw.auth_failures_alarm) ?? { count: 600, periodMs: 60_000 },
    authFailureDelayMs: duration(raw.auth_failure_delay, 2_000),
    connectTimeoutMs: duration(raw.connect_timeout, waits.backendConnectMs),
    loginTimeoutMs: duration(raw.login_timeout, waits.backendLoginMs),
    preauthTimeoutMs: duration(raw.preauth_timeout, waits.preAuthenticationMs),
    commandTimeoutMs: duration(raw.command_timeout, waits.smtpCommandMs),
    dataTimeoutMs: duration(raw.data_timeout, waits.endOfDataMs),
    sessionTimeoutMs: duration(raw.session_timeout, 1_860_000),
    drainTimeoutMs: duration(raw.drain_timeout, 30_000),
  }
}

/** Mail servers of the world; and households and offices behind one address, or a host of ours. */
const sessionsOf = (service: Service): number => (service === 'smtp' ? 50 : 500)

function addressLimitsOf(raw: NonNullable<RawConfig['limits']>): AddressLimits {
  const given = raw.sessions_per_ip ?? {}
  const entries = services.map((service) => {
    const own = typeof given === 'number' ? given : given[service]
    return [service, own ?? sessionsOf(service)] as const
  })
  return {
    sessions: Object.fromEntries(entries) as Record<Service, number>,
    connections: parseRate(raw.connections_per_ip),
    messages: parseRate(raw.messages_per_ip),
    recipients: parseRate(raw.recipients_per_ip),
    authFailures: parseRate(raw.auth_failures_per_ip),
    exempt: raw.exempt ?? ['127.0.0.0/8', '::1'],
  }
}

function ldapBindOf(
  auth: RawConfig['auth'],
  optionalPath: (relative: string | undefined) => string | undefined,
): LdapBindConfig | undefined {
  if (auth?.mode !== 'verify' || auth.ldap === undefined) return undefined
  const { url, dn, tls, tls_ca } = auth.ldap
  const host = new URL(url).hostname.replaceAll(/[[\]]/g, '')
  const mode = url.startsWith('ldaps:') ? 'implicit' : (tls ?? 'none')
  return { url, host, dn, tls: mode, tlsCaFile: optionalPath(tls_ca) }
}

function relayOf({ fanout = {}, on_backend_down }: RawConfig): RelayConfig {
  const { policy, stall } = typeof fanout === 'string' ? { policy: fanout } : fanout
  return {
    fanOut: policy ?? 'all',
    stallMs: duration(stall, waits.fanOutStallMs),
    onBackendDown: on_backend_down ?? 'answer',
  }
}

function spoolOf(raw: NonNullable<RawConfig['spool']>): SpoolConfig {
  return {
    maxSizeBytes: parseSizeBytes(raw.max_size ?? '10GiB'),
    maxMessages: raw.max_messages ?? 100_000,
    maxAgeMs: duration(raw.max_age, 5 * 86_400_000),
    warnAfterMs: duration(raw.warn_after, 4 * 3_600_000),
  }
}

function moveOf(raw: NonNullable<RawConfig['move']>): MoveConfig {
  return {
    holdMs: duration(raw.hold, 20_000),
    freezeTargetMs: duration(raw.freeze_target, 3_000),
    freezeLimitMs: duration(raw.freeze_limit, 90_000),
    quietMs: duration(raw.quiet_time, 0),
    retainMs: duration(raw.retain, 14 * 86_400_000),
    dueEveryMs: duration(raw.due_every, 60_000),
  }
}

function duration(text: string | undefined, defaultMs: number): number {
  return text === undefined ? defaultMs : parseDurationMs(text)
}
