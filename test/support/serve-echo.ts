/**
 * The daemon with the toy front ends of echo-worker.ts, or with workers that begin at $WORKER_ENTRY:
 * `node serve-echo.ts CONFIG [SERVICE…]`.
 */
import { MailmuxError } from '../../src/base/error.ts'
import type { Service } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { supervise } from '../../src/daemon/supervise.ts'

const echoWorker = new URL('./echo-worker.ts', import.meta.url)
const named = process.env['WORKER_ENTRY']
const [file = '', ...services] = process.argv.slice(2)
try {
  const { config } = await loadConfig(file)
  await supervise({
    config,
    services: services as Service[],
    workerEntry: named === undefined ? echoWorker : new URL(named),
    warn: () => undefined,
  })
} catch (error) {
  if (!(error instanceof MailmuxError)) throw error
  process.stderr.write(`${error.code}: ${error.located}\n`)
  process.exitCode = error.exitCode
}
