#!/usr/bin/env node
// Runs src/ directly, without a build and without the list of commands that a build makes.
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { endWithReader } from './quiet-pipe.js'
import { requireNode } from './require-node.js'

requireNode()
endWithReader()
const root = fileURLToPath(new URL('..', import.meta.url))
const pjson = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'))
// Only the command that is asked for, where the words name one: loading all takes far longer.
const [first = '', second = ''] = process.argv.slice(2)
const files = [`${first}/${second}.ts`, `${first}.ts`]
const named = files.find(
  (file) => /^[\w/-]+\.ts$/.test(file) && existsSync(`${root}/src/commands/${file}`),
)
pjson.oclif.commands = {
  strategy: 'pattern',
  target: './src/commands',
  globPatterns: named === undefined ? ['**/*.ts'] : [named],
}
pjson.oclif.hooks = { command_not_found: './src/cli/command-not-found' }
const { execute } = await import('@oclif/core')
await execute({ dir: import.meta.url, loadOptions: { root, pjson, ignoreManifest: true } })
