/**
 * `node:ffi` (Node 26.1 and newer), for what Node itself does not ask of the system. Whoever uses it goes
 * on without it.
 */
import type * as ffiModule from 'node:ffi'

export type ForeignFunctions = typeof ffiModule

/** What a process is started with that is to use it: Node warns of modules that are experimental. */
export const foreignFunctionsFlag = '--disable-warning=ExperimentalWarning'

/** Undefined where this process is not to use it, or has none, or is not on Linux. */
export function foreignFunctions(): ForeignFunctions | undefined {
  if (process.platform !== 'linux' || !process.execArgv.includes(foreignFunctionsFlag))
    return undefined
  return process.getBuiltinModule('node:ffi') as ForeignFunctions | undefined
}
