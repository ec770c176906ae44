/** A place in the pool: what kind of child stands there, one after the other, and how each is started. */
import type { StdioOptions } from 'node:child_process'
import cluster, { type Worker } from 'node:cluster'
import { fileURLToPath } from 'node:url'
import { foreignFunctionsFlag } from '../storage/foreign-functions.ts'
import { moduleFile } from '../base/module-file.ts'
import { boardDescriptor, type BoardKeeper } from './admission/boards.ts'
import type { RunAs } from './run-as.ts'
import type { Exit, Role, WorkerProcess } from './worker-process.ts'

/** One worker, or the queue, at a time; counts the replacements. */
export interface Place {
  readonly role: Role
  /** The one before has ended by a fault of its own. */
  hasCrashed: boolean
  worker: WorkerProcess | undefined
  restarts: number
  timer: NodeJS.Timeout | undefined
}

/** What all children are started with. */
export interface ChildStart {
  /** Where workers begin. */
  readonly workerEntry: string
  readonly runAs: RunAs | undefined
  /** The counts that workers share. */
  readonly boards: Pick<BoardKeeper, 'descriptor' | 'free' | 'take' | 'giveBack'>
}

/** How a person ends a process: that says nothing of what it did. The kernel kills by SIGKILL. */
const outside: ReadonlySet<string> = new Set(['SIGTERM', 'SIGINT', 'SIGHUP'])

export function emptyPlace(role: Role): Place {
  return { role, hasCrashed: false, worker: undefined, restarts: 0, timer: undefined }
}

/** Starts the child of a place. */
export function forkInto({ role, hasCrashed }: Place, start: ChildStart): Worker {
  const { workerEntry, runAs, boards } = start
  const stdio: Exclude<StdioOptions, string> = ['inherit', 'inherit', 'inherit', 'ipc']
  if (role === 'worker') stdio[boardDescriptor] = boards.descriptor
  cluster.setupPrimary({
    exec: role === 'queue' ? fileURLToPath(moduleFile('daemon/queue-main')) : workerEntry,
    args: [],
    // For spare-memory.ts, and for storage/huge-pages.ts and net/direct.
    execArgv: role === 'worker' ? ['--expose-gc', foreignFunctionsFlag] : [],
    stdio,
    serialization: 'advanced',
    // That of the daemon may be gone, or closed to the workers' user.
    cwd: '/',
    ...(runAs === undefined ? {} : { uid: runAs.uid, gid: runAs.gid }),
  })
  const isAfterCrash = role === 'queue' && hasCrashed
  return cluster.fork({
    MAILMUX_QUEUE_CRASHED: isAfterCrash ? '1' : '',
  })
}

/** Whether what it did may have ended it: by a fault, or since it took too much of something. */
export function isCrash({ code, signal }: Exit): boolean {
  return signal === null ? code !== 0 : !outside.has(signal)
}
