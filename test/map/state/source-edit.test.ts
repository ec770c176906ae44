import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  applyEdit,
  planAppend,
  planSplices,
  type SourceEdit,
} from '../../../src/map/state/source-edit.ts'
import { FailingDisk } from '../../support/failing-disk.ts'

const file = '/etc/mailmux/user_map'
const before = Buffer.from('ann fritz\nbob fritz\n')
const line = Buffer.from('zoe ingrid\n')

const edits: Readonly<Record<string, { edit: SourceEdit; after: string }>> = {
  'an append': {
    edit: planAppend(file, before.length, before.subarray(-5), line),
    after: 'ann fritz\nbob fritz\nzoe ingrid\n',
  },
  'a replacement': {
    edit: planSplices(file, before, [{ at: 4, removeBytes: 5, insert: Buffer.from('ingrid') }]),
    after: 'ann ingrid\nbob fritz\n',
  },
}

async function isApplied(disk: FailingDisk, edit: SourceEdit): Promise<boolean> {
  return applyEdit(disk, edit, []).then(
    () => true,
    (error: { code?: string }) => {
      assert.equal(error.code, 'MAP_SOURCE_UNWRITABLE')
      return false
    },
  )
}

function diskWith(bytes: Buffer, ...options: ConstructorParameters<typeof FailingDisk>) {
  const disk = new FailingDisk(...options)
  disk.put(file, bytes)
  return disk
}

for (const [what, { edit, after }] of Object.entries(edits)) {
  for (const renames of ['durable at once', 'durable when synced'] as const) {
    test(`${what} survives any power cut and any kill where renames are ${renames}`, async () => {
      let isDone = false
      for (let failAt = 1; !isDone; failAt++) {
        const disk = diskWith(before, failAt, renames)
        isDone = await isApplied(disk, edit)
        const left = disk.afterPowerCut(file)
        assert.ok(left)
        if (isDone) assert.equal(left.toString(), after)
        const restarted = diskWith(left, Infinity, renames)
        assert.ok(await isApplied(restarted, edit))
        assert.equal(restarted.afterPowerCut(file)?.toString(), after, `power cut at ${failAt}`)

        // Only the process was ended; what the next one finds done is durable when it says so.
        disk.mend()
        assert.ok(await isApplied(disk, edit))
        assert.equal(disk.afterPowerCut(file)?.toString(), after, `kill at ${failAt}`)
        assert.ok(failAt < 50)
      }
    })
  }
}

test('whatever part of an append a crash has left, the next command completes it', async () => {
  const { edit, after } = edits['an append'] ?? assert.fail()
  await fc.assert(
    fc.asyncProperty(
      fc.nat(line.length),
      fc.array(fc.nat(line.length - 1), { maxLength: 4 }),
      async (length, lost) => {
        const part = Buffer.from(line.subarray(0, length))
        for (const at of lost) if (at < length) part[at] = 0
        const disk = diskWith(Buffer.concat([before, part]))
        assert.ok(await isApplied(disk, edit))
        assert.equal(disk.afterPowerCut(file)?.toString(), after)
      },
    ),
  )
})

test('what somebody else has written is never overwritten or cut off', async () => {
  const { edit } = edits['an append'] ?? assert.fail()
  const foreign = fc
    .uint8Array({ minLength: 1, maxLength: 40 })
    .map((bytes) => Buffer.from(bytes))
    .filter(
      (bytes) =>
        bytes.length > line.length || bytes.some((byte, at) => byte !== line[at] && byte !== 0),
    )
  await fc.assert(
    fc.asyncProperty(foreign, async (bytes) => {
      const content = Buffer.concat([before, bytes])
      const disk = diskWith(content)
      await assert.rejects(applyEdit(disk, edit, []), { code: 'MAP_SOURCE_CHANGED' })
      assert.deepEqual(disk.afterKill(file), content)
    }),
  )
})
