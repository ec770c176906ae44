/**
 * Preloaded with `--import`: writes the address of every module that the process loads, ECMAScript
 * or CommonJS, into a file of $RECORD_MODULES named by the pid.
 */
import { appendFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join } from 'node:path'

const folder = process.env['RECORD_MODULES'] ?? ''

registerHooks({
  load(url, context, nextLoad) {
    appendFileSync(join(folder, String(process.pid)), `${url}\n`)
    return nextLoad(url, context)
  },
})
