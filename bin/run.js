#!/usr/bin/env node
// Runs the compiled program. Says in one line what is missing on a Node that is too old, before
// anything is loaded that such a Node could not read.
import module from 'node:module'
import { fileURLToPath } from 'node:url'
import { endWithReader } from './quiet-pipe.js'
import { requireNode } from './require-node.js'

requireNode()
// Kept beside the code, where nobody writes who may not write the code; where it cannot be, it is not.
module.enableCompileCache(fileURLToPath(new URL('../.cache/compile', import.meta.url)))
endWithReader()
const { execute } = await import('../dist/cli/execute.js')
await execute({ dir: import.meta.url })
