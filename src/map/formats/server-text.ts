/** Servers as foreign maps write them, and back-ends of ours as those want them. */
import type { BackendConfig, BackendProtocol, Config, Endpoint } from '../../config/config.ts'
import type { Server } from './fact.ts'

/** `host`, `host:port`, `[host]`, `[host]:port`; undefined where it is none. */
export function readServer(text: string, protocol?: BackendProtocol): Server | undefined {
  const [, bracketed, plain, port] =
    /^(?:\[([^\][\s]+)\]|([^:[\]\s/@]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (host === undefined || Number(port ?? 1) > 65_535) return undefined
  return {
    host,
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(protocol === undefined ? {} : { protocol }),
  }
}

/** An address of version 6 stands in brackets where a port may follow. */
export function bracket(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

/** The endpoint of a back-end that mail goes in by. */
export function mailEndpoint({ endpoints }: BackendConfig) {
  const { lmtp, smtp } = endpoints
  if (lmtp !== undefined) return { protocol: 'lmtp', ...lmtp } as const
  return smtp === undefined ? undefined : ({ protocol: 'smtp', ...smtp } as const)
}

/** The endpoint that logins go to: IMAP, else POP3. */
export function loginEndpoint({ endpoints }: BackendConfig) {
  const { imap, pop3 } = endpoints
  if (imap !== undefined) return { protocol: 'imap', ...imap } as const
  return pop3 === undefined ? undefined : ({ protocol: 'pop3', ...pop3 } as const)
}

/** ManageSieve has none for implicit TLS. */
const usualPorts = { imap: [143, 993], pop3: [110, 995], sieve: [4190, undefined] } as const

/** True where a client that knows protocol and TLS need not be told the port. */
export function isUsualPort({
  protocol,
  port,
  tls,
}: Endpoint & { readonly protocol: keyof typeof usualPorts }): boolean {
  return port === usualPorts[protocol][tls === 'implicit' ? 1 : 0]
}

/** Undefined where the config has changed since the build. */
export function backendOf({ backends }: Config, name: string): BackendConfig | undefined {
  return backends.get(name)
}

/** `host:port` as most forms want it. */
export function hostPort({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${bracket(host)}:${port}`
}
