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
        if (backend.imap !== undefined) return []
        const message = `backends.${name}.client_address: id needs imap`
        return [{ severity: 'warning', code: 'no-such-port', message, at }]
      }
      case 'xforward': {
        if (backend.smtp !== undefined || backend.lmtp !== undefined) return []
        const message = `backends.${name}.client_address: xforward needs smtp or lmtp`
        return [{ severity: 'warning', code: 'no-message-port', message, at }]
      }
      default:
        return []
    }
  })
}
