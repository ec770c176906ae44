#!/usr/bin/env node
// Runs the compiled program. Says in one line what is missing on a Node that is too old, before
// anything is loaded that such a Node could not read.
import { keepCompiled } from './keep-compiled.js'
import { endWithReader } from './quiet-pipe.js'
import { requireNode } from './require-node.js'

requireNode()
keepCompiled()
endWithReader()
const { execute } = await import('../dist/cli/execute.js')
await execute({ dir: import.meta.url })
