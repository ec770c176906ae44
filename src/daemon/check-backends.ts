/** Asks every port of the back-ends of a config, several at a time. */
import { type ProbeReport, probeBackend } from '../backend/probe.ts'
import { MailmuxError } from '../base/error.ts'
import type { BackendConfig, BackendProtocol, Config } from '../config/config.ts'
import { backendTlsOf } from './generation.ts'
import { readAuthorities } from './load-settings.ts'

/** Ports that are asked at a time. */
const atOnce = 16

/**
 * Reports in the order of the config. `names`: only these back-ends; all where it is empty. Throws
 * BACKEND_UNKNOWN and TLS_UNUSABLE.
 */
export async function checkBackends(
  config: Config,
  names: readonly string[],
): Promise<ProbeReport[]> {
  for (const name of names) {
    if (!config.backends.has(name))
      throw new MailmuxError('BACKEND_UNKNOWN', `no back-end is called ${name}`)
  }
  const problems: MailmuxError[] = []
  const authorities = await readAuthorities(config, problems)
  const contexts = backendTlsOf(config, authorities, (make) => make())
  const [first] = problems
  if (first !== undefined) throw first
  const plans = [...config.backends.values()]
    .filter(({ name }) => names.length === 0 || names.includes(name))
    .flatMap((backend) => endpointsOf(backend).map((one) => ({ backend, ...one })))
  const reports: ProbeReport[] = []
  const work = plans.entries()
  const worker = async (): Promise<void> => {
    for (const [index, { backend, protocol, endpoint }] of work) {
      const context = contexts.get(backend.name)
      reports[index] = await probeBackend({
        backend: backend.name,
        protocol,
        endpoint,
        trust: context && { context, name: backend.tlsName },
        hostname: config.hostname,
        timeoutMs: config.limits.connectTimeoutMs,
      })
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return reports
}

function endpointsOf({ endpoints }: BackendConfig) {
  return Object.entries(endpoints).map(([protocol, endpoint]) => ({
    protocol: protocol as BackendProtocol,
    endpoint,
  }))
}
