/**
 * Huge pages for a large buffer that is read at random, as the index of a map is: on pages of 4 KiB the
 * way to a place in 140 MiB takes longer than the look-up. Not for all that malloc gives: it hands out
 * blocks of 64 KiB of which a TLS session uses a few, and on huge pages it would have all of each.
 *
 * By madvise(2) of Linux. Where it cannot be called everything works, on small pages.
 */
import { foreignFunctions } from './foreign-functions.ts'

/** Of what is smaller there is little to gain. */
const leastBytes = 4 * 1024 * 1024
/** MADV_HUGEPAGE of linux/mman.h, the same on every processor that Node has Linux builds for. */
const advice = 14
/** The largest that Linux has; the ends of a buffer that fill no page stay as they are. */
const pageBytes = 65_536n

/** `bytes`: a buffer that nobody has written to yet. Returns whether the system takes the advice. */
export function adviseHugePages(bytes: Uint8Array): boolean {
  const ffi = bytes.byteLength < leastBytes ? undefined : foreignFunctions()
  if (ffi === undefined) return false
  const start = ffi.getRawPointer(bytes)
  const from = ((start + pageBytes - 1n) / pageBytes) * pageBytes
  const to = ((start + BigInt(bytes.byteLength)) / pageBytes) * pageBytes
  try {
    using library = new ffi.DynamicLibrary(null)
    const madvise = library.getFunction('madvise', {
      arguments: ['uint64', 'uint64', 'int32'],
      return: 'int32',
    })
    return madvise(from, to - from, advice) === 0
  } catch {
    // A build without the bridge to this system: small pages do.
    return false
  }
}
