/** The daemon with spooling-worker.ts: `node serve-spooling.ts CONFIG`. */
import { MailmuxError } from '../../src/base/error.ts'
import { loadConfig } from '../../src/config/load.ts'
import { supervise } from '../../src/daemon/supervise.ts'

try {
  const { config } = await loadConfig(process.argv[2] ?? '')
  await supervise({
    config,
    services: [],
    workerEntry: new URL('./spooling-worker.ts', import.meta.url),
    warn: () => undefined,
  })
} catch (error) {
  if (!(error instanceof MailmuxError)) throw error
  process.stderr.write(`${error.code}: ${error.located}\n`)
  process.exitCode = error.exitCode
}
