/** What the README tells a newcomer to type works. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runCommand } from './support/command.ts'
import { tempDir } from './support/temp-dir.ts'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

test('the quick start writes a good config and a map without warnings, up to serve', async () => {
  using dir = tempDir()
  const [, lines = ''] = /## Quick start[^]*?```sh\n([^]*?)```/.exec(readme) ?? []
  const commands = [...lines.matchAll(/^mailmux (.*)$/gm)].map(([, words = '']) => words.split(' '))
  const script = lines.replaceAll(/^mailmux .*$/gm, '')
  execFileSync('sh', ['-e', '-c', script], { cwd: dir.path })
  assert.deepEqual(commands.pop(), ['serve'])
  assert.equal(commands.length, 3)
  for (const words of commands) {
    const { code, stdout, stderr } = await runCommand(words, { cwd: dir.path })
    assert.deepEqual([code, stderr], [0, ''], stdout)
  }
})

test('every command of the table is there, and every command is in the table', async () => {
  const table = readme.slice(readme.indexOf('## Commands'), readme.indexOf('## What it does not'))
  const named = [...table.matchAll(/^\| (.+?) \|/gm)]
    .flatMap(([, cell = '']) => [...cell.matchAll(/`([a-z -]+?)(?: [A-Z[].*?)?`/g)])
    .map(([, name = '']) => name)
  const { stdout } = await runCommand(['--help'])
  const listed = [...stdout.matchAll(/^ {2}([a-z-]+) {2,}/gm)].map(([, name = '']) => name)
  const plugins = ['autocomplete', 'help']
  assert.deepEqual(
    [...new Set(named.map((name) => name.split(' ')[0] ?? ''))].sort(),
    listed.filter((name) => !plugins.includes(name)).sort(),
  )
})

test('every page that it links to exists', () => {
  const links = [...readme.matchAll(/\]\(([^)#]+)\)/g)].map(([, link = '']) => link)
  assert.ok(links.length > 5)
  for (const link of links.filter((name) => !name.includes('://'))) {
    assert.ok(existsSync(fileURLToPath(new URL(`../${link}`, import.meta.url))), link)
  }
})
