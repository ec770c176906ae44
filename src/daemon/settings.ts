/**
 * All that a worker needs to serve, as values that can be sent to it: files are read once, by the
 * supervisor, so that every worker has the same, also where a worker may not read them.
 */
import type { Config, ListenerConfig, Service } from '../config/config.ts'
import type { ClientAuthorities } from '../net/tls.ts'

export interface PemCertificate {
  /** For messages. */
  readonly certFile: string
  readonly cert: string
  readonly key: string
}

/** PEM texts for one back-end. */
export interface BackendPem {
  /** Of the authorities that may vouch for it; the system's where absent. */
  readonly ca: string | undefined
  readonly client: PemCertificate | undefined
}

/** Where logins are judged here, by passwords or certificates. */
export interface LoginSecrets {
  /** Text of the passwd-file; '' where there is none. */
  readonly passwords: string
  /** PEM text of the authorities that may vouch for the directory; those of Node.js where undefined. */
  readonly ldapCa: string | undefined
  /** Of administrators, by back-end. */
  readonly admins: ReadonlyMap<string, string>
}

export interface Settings {
  readonly config: Config
  /** With real ports and only of the services that are to run. */
  readonly listeners: readonly ListenerConfig[]
  /** The map to open: a name for the very file that was checked, whatever becomes of its own name. */
  readonly mapFile: string
  readonly certificates: readonly PemCertificate[]
  /** For certificates of clients; undefined where nobody is asked. */
  readonly clientAuthorities?: ClientAuthorities | undefined
  /** For back-ends that name authorities, or a certificate to show them. */
  readonly backendPems: ReadonlyMap<string, BackendPem>
  readonly logins?: LoginSecrets | undefined
  /** For the login at the smarthost. */
  readonly smarthostPassword?: string | undefined
  /** The most sessions that one worker may have at once. */
  readonly sessionsPerWorker: number
}

/** The services that have listeners, each once. */
export function servicesOf(settings: Settings): Service[] {
  return [...new Set(settings.listeners.map(({ service }) => service))]
}

/** Whether there are services that may take messages before they are delivered. */
export function needsQueue(settings: Settings): boolean {
  const services: readonly string[] = servicesOf(settings)
  return services.includes('smtp') || services.includes('lmtp')
}

/** `127.0.0.1:143`, `[::]:25`. */
export function formatAddress({ host, port }: { host: string; port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
