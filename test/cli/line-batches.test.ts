import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { lineBatches } from '../../src/cli/line-batches.ts'

async function linesOf(chunks: readonly Buffer[]): Promise<string[]> {
  const batches: string[][] = []
  for await (const batch of lineBatches(Readable.from(chunks))) batches.push(batch)
  return batches.flat()
}

test('the same lines come however the bytes are cut', async () => {
  const line = fc.string({ unit: 'grapheme' }).map((text) => text.replace(/[\r\n]/g, ''))
  await fc.assert(
    fc.asyncProperty(fc.array(line), fc.boolean(), fc.nat(), async (lines, isEnded, cut) => {
      const wanted = isEnded || lines.at(-1) !== '' ? lines : lines.slice(0, -1)
      const bytes = Buffer.from(lines.join('\r\n') + (isEnded && lines.length > 0 ? '\n' : ''))
      const at = bytes.length === 0 ? 0 : cut % bytes.length
      const pieces = [bytes.subarray(0, at), bytes.subarray(at)]
      assert.deepEqual(await linesOf(pieces), wanted)
      assert.deepEqual(await linesOf([...bytes].map((byte) => Buffer.from([byte]))), wanted)
    }),
  )
})

test('a line without an end does not fill the memory', async () => {
  const endless = Array.from({ length: 64 }, () => Buffer.alloc(1 << 16, 'a'))
  const lines = await linesOf([...endless, Buffer.from('\nann\n')])
  assert.equal(lines.length, 2)
  assert.ok((lines[0]?.length ?? 0) <= 131_072)
  assert.equal(lines[1], 'ann')
})
