/**
 * Edits of text sources in place. An edit is planned against the bytes that are there and says how
 * to tell them from what it makes of them, so that one that was broken off can be completed: what
 * is appended is written at the end of the file, anything else replaces the file as a whole.
 */
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { MailmuxError, messageOf } from '../../base/error.ts'
import { replaceFile } from '../../storage/atomic-file.ts'
import type { Disk, DiskFile, UpdatedFile } from '../../storage/disk.ts'

/** Puts `insert` in the place of `removeBytes` bytes. */
export interface Splice {
  readonly at: number
  readonly removeBytes: number
  readonly insert: Buffer
}

/** Lines from `line` on, of the file as it was, stand `delta` lines lower. */
export interface LineShift {
  readonly line: number
  readonly delta: number
}

export interface SourceEdit {
  readonly file: string
  readonly before: Fingerprint
  readonly after: Fingerprint
  /** In the order of the file, not overlapping; each `at` counts in the file as it was. */
  readonly splices: readonly Splice[]
  readonly shifts: readonly LineShift[]
}

/** Size of a file, and the checksum of its bytes from `from` on. */
interface Fingerprint {
  readonly from: number
  readonly sizeBytes: number
  readonly crc: number
}

/** `content`: the whole file. */
export function planSplices(
  file: string,
  content: Buffer,
  splices: readonly Splice[],
  shifts: readonly LineShift[] = [],
): SourceEdit {
  return {
    file,
    before: fingerprintOf(0, [content]),
    after: fingerprintOf(0, pieces(content, splices)),
    splices,
    shifts,
  }
}

/** `tail`: the last bytes of a file of `sizeBytes`; they tell whether it is still the same. */
export function planAppend(
  file: string,
  sizeBytes: number,
  tail: Buffer,
  insert: Buffer,
): SourceEdit {
  const from = sizeBytes - tail.length
  return {
    file,
    before: fingerprintOf(from, [tail]),
    after: fingerprintOf(from, [tail, insert]),
    splices: [{ at: sizeBytes, removeBytes: 0, insert }],
    shifts: [],
  }
}

function fingerprintOf(from: number, parts: Iterable<Buffer>): Fingerprint {
  let [sizeBytes, crc] = [from, 0]
  for (const part of parts) {
    sizeBytes += part.length
    crc = crc32(part, crc)
  }
  return { from, sizeBytes, crc }
}

function* pieces(content: Buffer, splices: readonly Splice[]): Generator<Buffer> {
  let at = 0
  for (const splice of splices) {
    yield content.subarray(at, splice.at)
    yield splice.insert
    at = splice.at + splice.removeBytes
  }
  yield content.subarray(at)
}

/** What takes an edit back, as far as it was made. */
export type Undo = () => Promise<void>

/**
 * Makes an edit durable; one that is made already is left. What takes it back is put before `undos`
 * as soon as there is something to take back. Throws MAP_SOURCE_CHANGED where the file is neither
 * what the edit was planned against nor what it makes of it, and MAP_SOURCE_UNWRITABLE.
 */
export async function applyEdit(disk: Disk, edit: SourceEdit, undos: Undo[]): Promise<void> {
  try {
    const file = await disk.resolve(edit.file)
    await (isAppend(edit) ? appendTo(disk, file, edit, undos) : rewrite(disk, file, edit, undos))
  } catch (error) {
    if (error instanceof MailmuxError) throw error
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') refuseChanged(edit, 'is gone')
    const what = `${edit.file}: cannot be written: ${messageOf(error)}`
    throw new MailmuxError('MAP_SOURCE_UNWRITABLE', what, { cause: error })
  }
}

function isAppend({ splices, before }: SourceEdit): boolean {
  return splices.length === 1 && splices[0]?.at === before.sizeBytes
}

async function appendTo(disk: Disk, path: string, edit: SourceEdit, undos: Undo[]): Promise<void> {
  const { before, splices } = edit
  await update(disk, path, async (file) => {
    if (!isAppendable(file, edit)) refuseChanged(edit, 'was edited meanwhile')
    undos.unshift(() =>
      update(disk, path, async (again) => {
        // Where somebody has written after it, nothing can be cut off.
        if (!isAppendable(again, edit)) return
        await again.truncate(before.sizeBytes)
        await again.sync()
      }),
    )
    await file.write(splices[0]?.insert ?? Buffer.alloc(0), before.sizeBytes)
    await file.sync()
  })
}

async function update(
  disk: Disk,
  path: string,
  work: (file: UpdatedFile) => Promise<void>,
): Promise<void> {
  const file = await disk.openToUpdate(path)
  try {
    await work(file)
  } finally {
    await file.close()
  }
}

/**
 * True where nothing, or a part of what is to be appended, stands behind what the edit was planned
 * against. After a crash, a page that was lost reads as zeros.
 */
function isAppendable(file: UpdatedFile, { before, after, splices }: SourceEdit): boolean {
  const insert = splices[0]?.insert
  const found = file.readBack(before.from, after.sizeBytes - before.from + 1)
  const added = found.subarray(before.sizeBytes - before.from)
  return (
    crc32(found.subarray(0, before.sizeBytes - before.from)) === before.crc &&
    added.length <= after.sizeBytes - before.sizeBytes &&
    added.every((byte, index) => byte === insert?.[index] || byte === 0)
  )
}

async function rewrite(disk: Disk, path: string, edit: SourceEdit, undos: Undo[]): Promise<void> {
  const content = await disk.read(path)
  const isMade = (bytes: Buffer): boolean => isSame(fingerprintOf(0, [bytes]), edit.after)
  // Whoever made it may have been ended before its name was durable.
  if (isMade(content)) return disk.syncDirectory(dirname(path))
  if (!isSame(fingerprintOf(0, [content]), edit.before)) refuseChanged(edit, 'was edited meanwhile')
  undos.unshift(async () => {
    // The name may have been given to the new file before its directory could not be synced.
    if (isMade(await disk.read(path))) await replaceWith(disk, path, [content])
  })
  await replaceWith(disk, path, pieces(content, edit.splices))
}

async function replaceWith(disk: Disk, path: string, parts: Iterable<Buffer>): Promise<void> {
  const owner = await disk.ownerOf(path)
  const fill = async (file: DiskFile): Promise<void> => {
    let at = 0
    for (const part of parts) {
      await file.write(part, at)
      at += part.length
    }
  }
  await replaceFile(disk, path, fill, owner)
}

function isSame(one: Fingerprint, other: Fingerprint): boolean {
  return one.sizeBytes === other.sizeBytes && one.crc === other.crc
}

function refuseChanged({ file }: SourceEdit, how: string): never {
  throw new MailmuxError('MAP_SOURCE_CHANGED', `${file}: ${how}`)
}
