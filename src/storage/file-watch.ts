/**
 * Waits for files to change. The kernel tells of most changes at once (inotify); every few seconds
 * all files are looked at, for the rest: network file systems, links that lead elsewhere, directories
 * that were replaced, kernels that have no room for another watch.
 */
import { type FSWatcher, watch } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { signaturesOf } from './file-signature.ts'

export interface FileWatchOptions {
  /** Ends every wait. */
  readonly signal: AbortSignal
  /** How often all files are looked at; milliseconds. */
  readonly sweepMs?: number
  /** How long files must stay as they are before a change counts; milliseconds. */
  readonly settleMs?: number
  /** How the kernel is asked to tell of changes in a directory. */
  readonly observe?: typeof watch
}

/** Files that are written without a pause are taken as they are after so many settling times. */
const settleRounds = 20
const pauseMs = 20

interface WatchedDirectory {
  /** Which directory had the name. */
  readonly id: string
  readonly watcher: FSWatcher
}

export class FileWatch implements Disposable {
  readonly #signal: AbortSignal
  readonly #sweepMs: number
  readonly #settleMs: number
  readonly #observe: typeof watch
  readonly #directories = new Map<string, WatchedDirectory>()
  /** What the kernel may tell of: names of files, and directories whose every file counts. */
  #names = new Set<string>()
  #wholeDirectories = new Set<string>()
  #isTold = false
  #wake: () => void = () => undefined

  constructor({ signal, sweepMs = 3_000, settleMs = 300, observe = watch }: FileWatchOptions) {
    this.#signal = signal
    this.#sweepMs = sweepMs
    this.#settleMs = settleMs
    this.#observe = observe
  }

  /**
   * Returns when files have another signature than in `seen`, and have been quiet: with what they
   * have now. `retryMs`: returns after so long also where nothing has changed. Throws where the signal
   * ends the wait.
   */
  async change(seen: ReadonlyMap<string, string>, retryMs?: number): Promise<Map<string, string>> {
    const until = performance.now() + (retryMs ?? Number.POSITIVE_INFINITY)
    for (;;) {
      // Before the look: what happens during it is told.
      this.#isTold = false
      await this.#follow(seen.keys())
      const found = await signaturesOf(seen.keys())
      const now = isOther(seen, found) ? await this.#settled(found) : found
      const rest = until - performance.now()
      if (isOther(seen, now) || rest <= 0) return now
      await this.#sleep(Math.min(this.#sweepMs, rest))
    }
  }

  [Symbol.dispose](): void {
    for (const { watcher } of this.#directories.values()) watcher.close()
    this.#directories.clear()
  }

  /** Returns when the kernel has told something, or after `timeoutMs`. */
  async #sleep(timeoutMs: number): Promise<void> {
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    if (this.#isTold) woken.abort()
    const signal = AbortSignal.any([this.#signal, woken.signal])
    try {
      await wait(timeoutMs, undefined, { signal })
    } catch {
      // More is often told at once.
      await wait(pauseMs, undefined, { signal: this.#signal })
    }
  }

  /** Editors write several times, or take a file away and put another in its place. */
  async #settled(first: Map<string, string>): Promise<Map<string, string>> {
    let before = first
    for (let round = 0; round < settleRounds; round++) {
      await wait(this.#settleMs, undefined, { signal: this.#signal })
      const now = await signaturesOf(before.keys())
      if (!isOther(before, now)) return now
      before = now
    }
    return before
  }

  /** Watches the directories that the paths are in, those that are directories, and no others. */
  async #follow(paths: Iterable<string>): Promise<void> {
    const [wanted, names] = [new Map<string, string>(), new Set<string>()]
    const whole = new Set<string>()
    for (const path of paths) {
      for (const one of new Set([path, await realpath(path).catch(() => path)])) {
        names.add(basename(one))
        await addDirectory(wanted, dirname(one))
        if (await addDirectory(wanted, one)) whole.add(one)
      }
    }
    this.#names = names
    this.#wholeDirectories = whole
    for (const [path, { id, watcher }] of this.#directories) {
      if (wanted.get(path) === id) continue
      watcher.close()
      this.#directories.delete(path)
    }
    for (const [path, id] of wanted) if (!this.#directories.has(path)) this.#watch(path, id)
  }

  #watch(path: string, id: string): void {
    try {
      const watcher = this.#observe(path, (_, name) => this.#hear(path, name))
      watcher.on('error', () => {
        watcher.close()
        this.#directories.delete(path)
      })
      this.#directories.set(path, { id, watcher })
    } catch {
      // The look at all files finds what this one would have told.
    }
  }

  #hear(directory: string, name: string | null): void {
    const counts = name === null || this.#names.has(name) || this.#wholeDirectories.has(directory)
    if (!counts) return
    this.#isTold = true
    this.#wake()
  }
}

/** Notes which directory has the name; false where it is none. */
async function addDirectory(directories: Map<string, string>, path: string): Promise<boolean> {
  if (directories.has(path)) return true
  try {
    const found = await stat(path, { bigint: true })
    if (found.isDirectory()) directories.set(path, `${found.dev} ${found.ino}`)
    return found.isDirectory()
  } catch {
    return false
  }
}

function isOther(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  return [...one].some(([path, signature]) => other.get(path) !== signature)
}
