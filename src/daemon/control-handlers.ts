/** What the control socket is answered, by the daemon once it runs. */
import type { ReloadReport, StatusReport } from '../control/messages.ts'
import type { Handlers } from '../control/server.ts'
import type { DrainReport, DrainRequest, RestartReport } from '../control/session-messages.ts'
import type { QueueChange, QueuePage, QueueRequest } from '../mail/queued-message.ts'
import type { FreezeKeeper } from './freeze-keeper.ts'
import { type Daemon, kick, who } from './session-control.ts'

interface Asked {
  readonly pool: Daemon & { readonly freezes: FreezeKeeper }
  status(): Promise<StatusReport>
  reload(): Promise<ReloadReport>
  queue(request: QueueRequest): Promise<QueuePage | QueueChange>
  drain(request: DrainRequest): Promise<DrainReport>
  restart(request: DrainRequest): Promise<RestartReport>
}

/** A client that connects before the daemon runs waits for it. */
export function handlersFor(started: Promise<Asked>): Handlers {
  return {
    status: async () => (await started).status(),
    reload: async () => (await started).reload(),
    queue: async (request) => (await started).queue(request),
    who: async (request) => who(request, (await started).pool),
    kick: async (request) => kick(request, (await started).pool),
    freeze: async (request) => (await started).pool.freezes.freeze(request),
    thaw: async (request) => (await started).pool.freezes.thaw(request),
    drain: async (request) => (await started).drain(request),
    restart: async (request) => (await started).restart(request),
  }
}
