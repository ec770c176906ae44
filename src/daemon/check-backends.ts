/** Asks ports of the back-ends of a config, several at a time. */
import type { SecureContext } from 'node:tls'
import { type ProbePlan, type ProbeReport, probeBackend } from '../backend/probe.ts'
import type { MailmuxError } from '../base/error.ts'
import type { BackendProtocol, Config } from '../config/config.ts'
import { namedBackend } from '../config/named-backend.ts'
import { trustIn } from '../net/dial.ts'
import { backendTlsOf } from './generation.ts'
import { readBackendPems } from './load-settings.ts'
import type { BackendPem } from './settings.ts'

/** Ports that are asked at a time. */
const atOnce = 16

export interface BackendPort {
  readonly backend: string
  readonly protocol: BackendProtocol
}

export class BackendProber {
  readonly #config: Config
  readonly #contexts: ReadonlyMap<string, SecureContext>
  #running = 0
  readonly #waiting: (() => void)[] = []

  /** `pems`: by back-end. Throws TLS_UNUSABLE. */
  constructor(config: Config, pems: ReadonlyMap<string, BackendPem>) {
    this.#config = config
    this.#contexts = backendTlsOf(config, pems, (make) => make())
  }

  /** Never throws for what the back-end does: that is in the report. */
  async probe(port: BackendPort): Promise<ProbeReport> {
    if (this.#running >= atOnce) await new Promise<void>((go) => this.#waiting.push(go))
    this.#running++
    try {
      return await probeBackend(planOf(this.#config, this.#contexts, port))
    } finally {
      this.#running--
      this.#waiting.shift()?.()
    }
  }
}

/** How to ask that port. `contexts`: trust towards back-ends by name. */
export function planOf(
  { hostname, limits, backends }: Config,
  contexts: ReadonlyMap<string, SecureContext>,
  { backend: name, protocol }: BackendPort,
): ProbePlan {
  const backend = backends.get(name)
  const endpoint = backend?.endpoints[protocol]
  if (backend === undefined || endpoint === undefined) throw new Error(`no ${protocol} at ${name}`)
  return {
    backend: name,
    protocol,
    endpoint,
    trust: trustIn(backend, contexts.get(name)),
    hostname,
    clientAddress: backend.clientAddress,
    timeoutMs: limits.connectTimeoutMs,
  }
}

/**
 * Reports in the order of the config. `names`: only these back-ends; all where it is empty. Throws
 * BACKEND_UNKNOWN and TLS_UNUSABLE.
 */
export async function checkBackends(
  config: Config,
  names: readonly string[],
): Promise<ProbeReport[]> {
  for (const name of names) namedBackend(config, name)
  const problems: MailmuxError[] = []
  const pems = await readBackendPems(config, problems)
  const [first] = problems
  if (first !== undefined) throw first
  const prober = new BackendProber(config, pems)
  const asked = portsOf(config).filter(
    ({ backend }) => names.length === 0 || names.includes(backend),
  )
  return Promise.all(asked.map((port) => prober.probe(port)))
}

/** Every port of every back-end, in the order of the config. */
export function portsOf({ backends }: Config): BackendPort[] {
  return [...backends.values()].flatMap(({ name, endpoints }) =>
    Object.keys(endpoints).map((protocol) => ({
      backend: name,
      protocol: protocol as BackendProtocol,
    })),
  )
}
