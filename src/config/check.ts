/** What the schema cannot say: names that must exist, addresses that must parse, contradictions. */
import type { Problem } from '../base/problem.ts'
import { parseAddress } from '../mail/address.ts'
import { canonicalDomain } from '../mail/domain.ts'
import { isHost } from '../mail/network.ts'
import { parseQueryKeys } from '../mail/query-key.ts'
import { checkAuth } from './check-auth.ts'
import { checkCertificates } from './check-certificates.ts'
import { checkClients } from './check-clients.ts'
import { checkMigrate } from './check-migrate.ts'
import { checkMoves } from './check-moves.ts'
import { checkNetworks } from './check-networks.ts'
import type { Config, TlsMode } from './config.ts'
import { checkFilledSources } from './filled-sources.ts'
import { type Locate, type Path, problem } from './locate.ts'
import { nearest } from '../base/nearest.ts'
import type { RawConfig } from './schema.ts'
import { services } from './services.ts'
import { parseListenAddress } from './unit.ts'

export function checkConfig(raw: RawConfig, config: Config, locate: Locate): Problem[] {
  return [
    ...checkDomains(raw, locate),
    ...checkSmarthost(raw, config, locate),
    ...checkBackends(raw, locate),
    ...checkFilledSources(raw, locate),
    ...checkListeners(raw, config, locate),
    ...checkPostmaster(raw, config, locate),
    ...checkQueryKey(raw, locate),
    ...checkAuth(raw, locate),
    ...checkCertificates(raw, locate),
    ...checkClients(raw, locate),
    ...checkNetworks(raw, locate),
    ...checkMigrate(raw, locate),
    ...checkMoves(config, locate),
  ]
}

function checkQueryKey({ map }: RawConfig, locate: Locate): Problem[] {
  const parsed = parseQueryKeys(map?.query_key ?? String.raw`\U`)
  if (!('refused' in parsed)) return []
  const at = locate(['map', 'query_key'], true)
  return [problem('bad-query-key', `map.query_key: ${parsed.refused}`, at, parsed.hint)]
}

function checkDomains(raw: RawConfig, locate: Locate): Problem[] {
  const named: [Path, string][] = raw.domains.map((domain, index) => [['domains', index], domain])
  if (raw.default_domain !== undefined) named.push([['default_domain'], raw.default_domain])
  named.push([['hostname'], raw.hostname])
  const malformed = named
    .filter(([, domain]) => canonicalDomain(domain) === undefined)
    .map(([path, domain]) =>
      problem(
        'bad-domain',
        `${path.join('.')}: ${JSON.stringify(domain)} is no domain name`,
        locate(path, true),
      ),
    )
  const ours = new Set(raw.domains.map((domain) => canonicalDomain(domain)))
  const stranger =
    raw.default_domain !== undefined && !ours.has(canonicalDomain(raw.default_domain))
      ? [
          problem(
            'foreign-default',
            'default_domain: is not one of domains',
            locate(['default_domain'], true),
            'add it to domains, or name one of them',
          ),
        ]
      : []
  return [...malformed, ...stranger]
}

function checkSmarthost(raw: RawConfig, config: Config, locate: Locate): Problem[] {
  if (raw.smarthost === undefined) return []
  const { smarthost = '', smarthostLogin } = config
  const backend = config.backends.get(smarthost)
  const at = locate(
    typeof raw.smarthost === 'object' ? ['smarthost', 'backend'] : ['smarthost'],
    true,
  )
  if (backend === undefined) {
    const meant = nearest(smarthost, config.backends.keys())
    const hint =
      meant === undefined
        ? `known: ${[...config.backends.keys()].join(', ')}`
        : `did you mean ${meant}?`
    return [problem('unknown-backend', `smarthost: no back-end is called ${smarthost}`, at, hint)]
  }
  const needed = (['smtp', 'submission'] as const).filter(
    (protocol) => protocol === 'smtp' || smarthostLogin !== undefined,
  )
  return needed.flatMap((protocol) =>
    backend.endpoints[protocol] === undefined
      ? [problem(`no-${protocol}`, `smarthost: ${smarthost} has no ${protocol} port`, at)]
      : [],
  )
}

function checkBackends(raw: RawConfig, locate: Locate): Problem[] {
  return Object.entries(raw.backends).flatMap(([name, backend]) => {
    const { host } = backend
    const problems: Problem[] = []
    if (!isHost(host)) {
      const what = `backends.${name}.host: ${JSON.stringify(host)} is no host`
      const hint = 'write a name of DNS, or an address without brackets'
      problems.push(problem('bad-host', what, locate(['backends', name, 'host'], true), hint))
    }
    if (services.every((service) => backend[service] === undefined)) {
      const hint = 'give smtp or lmtp, imap, pop3, sieve, submission'
      const at = locate(['backends', name])
      problems.push(problem('no-port', `backends.${name}: has no port`, at, hint))
    }
    return problems
  })
}

function checkListeners(raw: RawConfig, config: Config, locate: Locate): Problem[] {
  const seen = new Set<string>()
  const problems: Problem[] = []
  for (const service of [...services, 'metrics'] as const) {
    for (const [index, listener] of (raw.listen?.[service] ?? []).entries()) {
      const options: { readonly address: string; readonly tls?: TlsMode } =
        typeof listener === 'string' ? { address: listener } : listener
      const { address: text, tls } = options
      const at = locate(['listen', service, index], true)
      const where = `listen.${service}.${index}`
      const address = parseListenAddress(text)
      if (address === undefined) {
        problems.push(
          problem(
            'bad-address',
            `${where}: ${JSON.stringify(text)} is no address:port`,
            at,
            'write "[::]:25", "127.0.0.1:25" or "25"',
          ),
        )
      } else if (address.port !== 0 && seen.has(`${address.host}:${address.port}`)) {
        problems.push(problem('address-twice', `${where}: ${text} is listened on already`, at))
      }
      seen.add(`${address?.host}:${address?.port}`)
      if (tls !== undefined && tls !== 'none' && config.tls.certificates.length === 0) {
        problems.push(
          problem(
            'no-certificate',
            `${where}: tls ${tls} needs a certificate`,
            at,
            'give tls.certificates',
          ),
        )
      }
    }
  }
  return problems
}

function checkPostmaster(raw: RawConfig, config: Config, locate: Locate): Problem[] {
  if (parseAddress(config.postmaster, config.naming) !== undefined) return []
  const path = raw.postmaster === undefined ? [] : ['postmaster']
  return [
    problem('bad-address', `postmaster: ${config.postmaster} is no address`, locate(path, true)),
  ]
}
