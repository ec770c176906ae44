/** Whom to believe about clients, and how back-ends are told of them: what the schema cannot say. */
import type { Problem } from '../base/problem.ts'
import { canonicalHost } from '../mail/network.ts'
import { type Locate, problem } from './locate.ts'
import type { RawConfig } from './schema.ts'
import { services } from './services.ts'

export function checkClients(raw: RawConfig, locate: Locate): Problem[] {
  return [
    ...checkServers(raw, locate),
    ...checkListeners(raw, locate),
    ...checkBackends(raw, locate),
  ]
}

function checkServers({ dns_servers: servers = [] }: RawConfig, locate: Locate): Problem[] {
  return servers.flatMap((text, index) => {
    const [, inside, plain] =
      /^(?:\[([^\]]+)\](?::\d{1,5})?|([^:]+)(?::\d{1,5})?)$/.exec(text) ?? []
    if (canonicalHost(inside ?? plain ?? text) !== undefined) return []
    const at = locate(['dns_servers', index], true)
    return [
      problem(
        'bad-address',
        `dns_servers.${index}: ${JSON.stringify(text)} is no address`,
        at,
        'write 10.0.0.53, "10.0.0.53:5353" or "[2001:db8::53]:53"',
      ),
    ]
  })
}

/** Nobody could ever connect. */
function checkListeners(raw: RawConfig, locate: Locate): Problem[] {
  if ((raw.trusted_proxies ?? []).length > 0) return []
  return services.flatMap((service) =>
    (raw.listen?.[service] ?? []).flatMap((listener, index) =>
      typeof listener !== 'string' && listener.proxy === 'require'
        ? [
            problem(
              'no-trusted-proxy',
              `listen.${service}.${index}.proxy: require needs a proxy that is trusted`,
              locate(['listen', service, index, 'proxy']),
              'name its network in trusted_proxies',
            ),
          ]
        : [],
    ),
  )
}

function checkBackends(raw: RawConfig, locate: Locate): Problem[] {
  return Object.entries(raw.backends).flatMap(([name, backend]): Problem[] => {
    const at = locate(['backends', name, 'client_address'])
    switch (backend.client_address) {
      case 'id': {
        const message = `backends.${name}.client_address: id has no effect in this version`
        return [{ severity: 'warning', code: 'not-yet', message, at }]
      }
      case 'xclient':
      case 'xforward': {
        const { smtp, lmtp, submission, client_address: way } = backend
        const ports = way === 'xclient' ? [smtp, lmtp, submission] : [smtp, lmtp]
        if (ports.some((port) => port !== undefined)) return []
        const needed = way === 'xclient' ? 'smtp, lmtp or submission' : 'smtp or lmtp'
        const message = `backends.${name}.client_address: ${way} needs ${needed}`
        return [{ severity: 'warning', code: 'no-message-port', message, at }]
      }
      default:
        return []
    }
  })
}
