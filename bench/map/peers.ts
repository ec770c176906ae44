/** The programs that map builds are measured beside, on the same users. */
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

export interface Peer {
  readonly name: string
  /** Seconds of one build, from start to end of the process; undefined where it cannot run. */
  build(folder: string): number | undefined
  /** Bytes of what it has built. */
  size(folder: string): number
}

/** Seconds of one process, its input from a file; undefined where it is not installed or fails. */
function time(command: readonly string[], input?: string): number | undefined {
  const stdin = input === undefined ? 'ignore' : openSync(input, 'r')
  const started = performance.now()
  const [program = '', ...args] = command
  const { status, error } = spawnSync(program, args, { stdio: [stdin, 'ignore', 'ignore'] })
  const seconds = (performance.now() - started) / 1000
  if (typeof stdin === 'number') closeSync(stdin)
  return error === undefined && status === 0 ? seconds : undefined
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

function remove(path: string): void {
  rmSync(path, { force: true })
}

const postmap = process.env['POSTMAP'] ?? 'postmap'

function postmapPeer(type: 'hash' | 'btree'): Peer {
  return {
    name: `postmap ${type}`,
    build(folder) {
      remove(join(folder, 'user_map.db'))
      return time([postmap, '-c', folder, `${type}:${join(folder, 'user_map')}`])
    },
    size: (folder) => sizeOf(join(folder, 'user_map.db')),
  }
}

export const peers: readonly Peer[] = [
  {
    name: 'cdb -c',
    build: (folder) => time(['cdb', '-c', join(folder, 'users.cdb'), join(folder, 'cdb-input')]),
    size: (folder) => sizeOf(join(folder, 'users.cdb')),
  },
  postmapPeer('hash'),
  postmapPeer('btree'),
  {
    name: 'makegdbm',
    build(folder) {
      remove(join(folder, 'users.gdbm'))
      return time(['makegdbm', join(folder, 'users.gdbm')], join(folder, 'popmap'))
    },
    size: (folder) => sizeOf(join(folder, 'users.gdbm')),
  },
]
