/** The real worker, with a record of what it loads, and of how Node was started. */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import './record-modules.ts'

appendFileSync(
  join(process.env['RECORD_MODULES'] ?? '', String(process.pid)),
  `execArgv ${process.execArgv.join(' ')}\n`,
)
await import('../../src/daemon/worker-main.ts')
