/** The real worker, with a record of what it loads. */
import './record-modules.ts'

await import('../../src/daemon/worker-main.ts')
