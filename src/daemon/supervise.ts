/**
 * Runs the first process: its folder, its control socket and its signals. SIGTERM and SIGINT stop the
 * daemon, sessions first; a second one at once. SIGHUP reloads.
 */
import { openControl } from '../control/server.ts'
import { BoardKeeper } from './admission/boards.ts'
import { claimRunDir } from './claim-run-dir.ts'
import { cleanEnvironment } from './clean-environment.ts'
import { handlersFor } from './control-handlers.ts'
import { openLog } from './log-writer.ts'
import { findRunAs } from './run-as.ts'
import { listenForSignals } from './signals.ts'
import { MetricsListeners } from './metrics/listeners.ts'
import { metricsPages } from './metrics/pages.ts'
import { notStarted } from './readiness.ts'
import { Supervisor, type SuperviseOptions } from './supervisor.ts'

/** Runs the daemon until it is told to stop. Throws what keeps it from starting, with nothing left running. */
export async function supervise(options: SuperviseOptions): Promise<void> {
  await using resources = new AsyncDisposableStack()
  const logWriter = resources.use(openLog())
  resources.use(await claimRunDir(options.config.runDir))
  const boards = resources.use(await BoardKeeper.create(options.config))
  cleanEnvironment()
  const found = findRunAs(options.config)
  const signals = resources.use(listenForSignals())
  // Set once the workers run; a client that connects before waits for it.
  const started = Promise.withResolvers<Supervisor>()
  started.promise.catch(() => undefined)
  let running: Supervisor | undefined
  const pages = metricsPages({
    sample: async () => (await started.promise).sample(),
    checks: () => running?.readiness() ?? notStarted,
  })
  const metrics = resources.use(new MetricsListeners(pages))
  const opened = await metrics.prepare(options.config.metrics)
  opened.commit()
  resources.use(await openControl(options.config.runDir, handlersFor(started.promise)))
  try {
    const means = { logWriter, metrics, boards }
    const supervisor = await Supervisor.start({ ...options, ...found }, means, signals)
    running = supervisor
    resources.defer(() => supervisor.release())
    signals.onReload = () => void supervisor.reload().catch(() => undefined)
    started.resolve(supervisor)
    await supervisor.stop(await supervisor.awaitEnd(signals), signals)
  } catch (error) {
    started.reject(error)
    throw error
  }
}
