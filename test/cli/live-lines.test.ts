import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { LiveLines } from '../../src/cli/live-lines.ts'

function terminal(isTTY: boolean) {
  const stream = new PassThrough()
  const chunks: unknown[] = []
  stream.on('readable', () => undefined)
  Object.assign(stream, { isTTY, columns: 30, rows: 4 })
  const shown = (): string => {
    for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) chunks.push(chunk)
    return chunks.splice(0).join('')
  }
  return { stream: stream as unknown as NodeJS.WriteStream, shown }
}

test('lines are written over, and give way to what stays', () => {
  const { stream, shown } = terminal(true)
  {
    using live = new LiveLines(stream)
    live.set('a', 'a: 1')
    assert.equal(shown(), 'a: 1\n')
    // Too soon to be written anew.
    live.set('b', `b: ${'x'.repeat(99)}\u001b[2J`)
    assert.equal(shown(), '')
    live.passBy('a', () => stream.write('a: done\n'))
    assert.equal(shown(), `\u001b[1F\u001b[Ja: done\nb: ${'x'.repeat(26)}\n`)
  }
  assert.equal(shown(), '\u001b[1F\u001b[J')
})

test('where nobody looks on, only what stays is written', () => {
  const { stream, shown } = terminal(false)
  {
    using live = new LiveLines(stream)
    live.set('a', 'a: 1')
    live.passBy('a', () => stream.write('a: done\n'))
  }
  assert.equal(shown(), 'a: done\n')
})
