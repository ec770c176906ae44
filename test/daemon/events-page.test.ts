import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { counterNames } from '../../src/daemon/count-event.ts'
import { counterMetrics } from '../../src/daemon/metrics/definitions.ts'

function fieldsIn(block: string): string[] {
  return [...block.matchAll(/(\w+)(\??):/g)].map(([, name, optional]) => `${name}${optional}`)
}

function wordsOf(text: string, quote: string): string[] {
  return [...text.matchAll(new RegExp(`${quote}(\\w+)${quote}`, 'g'))].map(([, word = '']) => word)
}

/** Name and fields of every event, as src/base/log.ts declares them. */
function declaredEvents(): Record<string, string[]> {
  const source = readFileSync('src/base/log.ts', 'utf8').replace(/\/\*\*[\s\S]*?\*\//g, '')
  const peer = fieldsIn(/interface PeerFields \{([\s\S]*?)\n\}/.exec(source)?.[1] ?? '')
  assert.equal(peer.length, 3)
  const catalogue = /export interface EventFields \{([\s\S]*?)\n\}/.exec(source)?.[1] ?? ''
  const events = catalogue.matchAll(/^ {2}'?([\w.]+)'?: (PeerFields & )?\{([\s\S]*?)\}$/gm)
  return Object.fromEntries(
    [...events].map(([, name, isPeer, block = '']) => [
      name,
      [...(isPeer === undefined ? [] : peer), ...fieldsIn(block)],
    ]),
  )
}

function sectionOf(title: string): string {
  return readFileSync('docs/events.md', 'utf8').split(`\n## ${title}\n`)[1]?.split('\n## ')[0] ?? ''
}

test('docs/events.md lists every event with its fields, and no other', () => {
  const declared = declaredEvents()
  assert.ok(Object.keys(declared).length > 15)
  const rows = sectionOf('Events').matchAll(/^\| `([\w.]+)` \| (.+) \| .+ \|$/gm)
  const listed = [...rows].map(([, name, fields = '']) => [
    name,
    [...fields.matchAll(/`(\w+\??)`/g)].map(([, field]) => field),
  ])
  assert.deepEqual(Object.fromEntries(listed), declared)
})

test('docs/events.md lists every counter, and no other', () => {
  const rows = sectionOf('Counters').matchAll(/^\| `(\w+)` \| /gm)
  const listed = new Set([...rows].map(([, name]) => name))
  // Each counter has a metric: the type of the table sees to that.
  assert.deepEqual(listed, new Set(Object.keys(counterMetrics)))
  for (const counter of Object.values(counterNames)) assert.ok(listed.has(counter), counter)
})

const unions = {
  'refuse.reason': 'RefusalReason',
  'backend.reason': 'BackendReason',
  'backend.step': 'BackendStep',
  'spool.quarantined.reason': 'QuarantineReason',
  'session.end.end': 'SessionEnd',
} as const

test('docs/events.md lists every value of the fields that have a fixed set', () => {
  const source = readFileSync('src/base/log.ts', 'utf8')
  for (const [field, type] of Object.entries(unions)) {
    const union = new RegExp(`export type ${type} =([^;]*?)\\n\\n`).exec(source)?.[1] ?? ''
    const row = new RegExp(`^\\| \`${field}\` \\| (.*) \\|$`, 'm').exec(sectionOf('Values'))?.[1]
    const declared = wordsOf(union, "'")
    assert.ok(declared.length > 5, type)
    assert.deepEqual(wordsOf(row ?? '', '`').sort(), declared.sort(), field)
  }
})
