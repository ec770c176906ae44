/** Runs of killed-move.ts. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { MoveStep } from '../../src/map/state/move-journal.ts'

const program = fileURLToPath(new URL('./killed-move.ts', import.meta.url))

export interface KilledMove {
  readonly configFile: string
  readonly user: string
  readonly step: MoveStep
  readonly when: 'before' | 'after'
}

/** A run of the command, to ingrid, that is killed as it writes that step down. */
export async function killAt({ configFile, user, step, when }: KilledMove): Promise<void> {
  const words = [program, configFile, user, 'ingrid', step, when]
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const [, by] = (await once(child, 'close')) as [number | null, string | null]
  assert.equal(by, 'SIGKILL', `${when} ${step}: ${said}`)
}
