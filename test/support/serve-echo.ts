/** The daemon with the toy front ends of echo-worker.ts: `node serve-echo.ts CONFIG [SERVICE…]`. */
import { MailmuxError } from '../../src/base/error.ts'
import type { Service } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { supervise } from '../../src/daemon/supervisor.ts'

const [file = '', ...services] = process.argv.slice(2)
try {
  const { config } = await loadConfig(file)
  await supervise({
    config,
    services: services as Service[],
    version: '0.0.0-test',
    workerEntry: new URL('./echo-worker.ts', import.meta.url),
    warn: () => undefined,
  })
} catch (error) {
  if (!(error instanceof MailmuxError)) throw error
  process.stderr.write(`${error.code}: ${error.located}\n`)
  process.exitCode = error.exitCode
}
