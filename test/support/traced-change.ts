/** A change of the map in a process of its own, in which the kernel does what the test wants. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const killedChange = fileURLToPath(new URL('killed-change.ts', import.meta.url))

export interface TracedEnd {
  /** `done`, `killed`, or the code of the failure. */
  readonly outcome: string
  /** For messages: the fault, and what the process wrote. */
  readonly where: string
}

/** Makes the sample change of a folder under strace. */
export function traceChange(folder: string, inject: string): Promise<TracedEnd> {
  return traceProgram([killedChange, folder, 'all'], inject)
}

/**
 * Runs a program of Node under strace. `inject` is its option of that name, such as
 * `fsync:signal=KILL:when=3`; calls are counted in each thread by itself.
 */
export async function traceProgram(words: readonly string[], inject: string): Promise<TracedEnd> {
  const [calls = ''] = inject.split(':')
  const trace = ['-f', '-o', '/dev/null', '-e', `trace=${calls}`]
  const child = spawn(
    'strace',
    [...trace, '-e', `inject=${inject}`, process.execPath, ...words],
    // Calls that io_uring makes would not be seen; a single thread makes the order certain.
    // Nor may a cache of compiled modules be read and written between them.
    {
      env: {
        ...process.env,
        UV_USE_IO_URING: '0',
        UV_THREADPOOL_SIZE: '1',
        NODE_DISABLE_COMPILE_CACHE: '1',
      },
    },
  )
  const [stdout, stderr, [code, signal]] = await Promise.all([
    child.stdout.toArray(),
    child.stderr.toArray(),
    once(child, 'close') as Promise<[number | null, string | null]>,
  ])
  const text = Buffer.concat(stdout as Buffer[]).toString()
  // strace ends as its child did.
  const isKilled = signal === 'SIGKILL' || code === 137
  const outcome = code === 0 ? 'done' : isKilled ? 'killed' : text
  const errors = Buffer.concat(stderr as Buffer[]).toString()
  return { outcome, where: `${inject}: ${outcome} ${errors}` }
}
