/** Durable changes of one user each, and how soon another process with the map open sees them. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { loadConfig } from '../../src/config/load.ts'
import { addUser } from '../../src/map/edit/add-user.ts'

const rounds = 60

export interface ChangeTimes {
  /** From the call to its return; all in milliseconds. */
  readonly change: readonly number[]
  /** From the return until it is seen; below 0 where it was seen before. */
  readonly seen: readonly number[]
}

export async function measureChanges(file: string): Promise<ChangeTimes> {
  const { config } = await loadConfig(file)
  const names = Array.from({ length: rounds }, (_, number) => `new${number}@example.com`)
  const worker = fork(join(import.meta.dirname, 'watch-change.ts'), [file, ...names])
  await once(worker, 'message')
  const [change, seen]: [number[], number[]] = [[], []]
  for (const name of names) {
    const seenAt = once(worker, 'message') as Promise<[number]>
    const started = performance.now()
    const request = { name, everyDomain: false, value: 'otto', retrieval: undefined }
    await addUser(config, { ...request, replace: false })
    const ended = performance.now()
    change.push(ended - started)
    const [at] = await seenAt
    seen.push(at - performance.timeOrigin - ended)
  }
  await once(worker, 'exit')
  return { change, seen }
}
