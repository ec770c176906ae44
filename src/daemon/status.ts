/** The numbers of all workers → what `mailmux status` shows. */
import type { BackendReason, BackendStep } from '../base/log.ts'
import type { Service } from '../config/config.ts'
import type { BackendStatus, ServiceStatus, StatusReport } from '../control/messages.ts'
import type { WorkerReport } from './channel.ts'
import { type Counts, countsOf } from './counters.ts'
import { formatAddress, type Settings, servicesOf } from './settings.ts'

type Sessions = WorkerReport['sessions']

export type Numbers = Pick<StatusReport, 'services' | 'backends'>

export function numbersOf(settings: Settings, sessions: Sessions, counts: Counts): Numbers {
  return {
    services: servicesOf(settings).map((service) =>
      serviceStatus(service, settings, sessions, counts),
    ),
    backends: [...settings.config.backends.keys()].map((backend) =>
      backendStatus(backend, sessions, counts),
    ),
  }
}

function serviceStatus(
  service: Service,
  { listeners }: Settings,
  sessions: Sessions,
  counts: Counts,
): ServiceStatus {
  const own = (name: string): Record<string, number> =>
    Object.fromEntries(
      countsOf(counts, name)
        .filter(({ labels }) => labels[0] === service)
        .map(({ labels, count }) => [labels[1] ?? '', count]),
    )
  const outcomes =
    service === 'smtp'
      ? { messages: { accepted: 0, deferred: 0, refused: 0, ...own('message') } }
      : { logins: { ok: 0, failed: 0, unavailable: 0, ...own('login') } }
  return {
    service,
    listeners: listeners
      .filter((listener) => listener.service === service)
      .map((listener) => ({ address: formatAddress(listener), tls: listener.tls })),
    sessions: sessions.filter((session) => session.service === service).length,
    sessions_total: counts[`session:${service}`] ?? 0,
    ...outcomes,
    refused: own('refused'),
  }
}

function backendStatus(backend: string, sessions: Sessions, counts: Counts): BackendStatus {
  return {
    backend,
    sessions: sessions.filter((session) => session.backend === backend).length,
    errors: countsOf(counts, 'backend_error')
      .filter(({ labels }) => labels[0] === backend)
      .map(({ labels: [, step, reason], count }) => ({
        step: step as BackendStep,
        reason: reason as BackendReason,
        count,
      })),
  }
}
