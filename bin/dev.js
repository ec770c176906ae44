#!/usr/bin/env node
// Runs src/ directly, without a build and without the list of commands that a build makes.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { requireNode } from './require-node.js'

requireNode()
const root = fileURLToPath(new URL('..', import.meta.url))
const pjson = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'))
pjson.oclif.commands = './src/commands'
const { execute } = await import('@oclif/core')
await execute({ dir: import.meta.url, loadOptions: { root, pjson, ignoreManifest: true } })
