/** A worker that dies with many sessions, and those of the other ones. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Daemon } from '../support/daemon.ts'
import { connectUntil, startEcho } from '../support/echo-daemon.ts'
import { Peer } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'

const sessions = 1_000
const stack = new AsyncDisposableStack()
let daemon: Daemon

before(async () => {
  daemon = stack.use(await startEcho(stack.use(tempDir())))
})

after(() => stack.disposeAsync())

/** So many sessions, by the process that has them. */
async function openSessions(open: DisposableStack): Promise<Map<number, Peer[]>> {
  const byPid = new Map<number, Peer[]>()
  for (let count = 0; count < sessions; count++) {
    const peer = open.use(await Peer.connect(daemon.port('imap')))
    const pid = Number((await peer.line()).split(' ')[2])
    byPid.set(pid, [...(byPid.get(pid) ?? []), peer])
  }
  return byPid
}

/** Ends a worker; returns when there is another. Clients are served all the time. */
async function replace(victim: number, signal: NodeJS.Signals): Promise<void> {
  const [starts, deaths] = [daemon.eventsOf('worker.started'), daemon.eventsOf('worker.exited')]
  process.kill(victim, signal)
  const exited = await daemon.waitFor('worker.exited', deaths.length + 1)
  assert.deepEqual([exited.pid, exited.code, exited.signal], [victim, null, signal])
  const replaced = daemon.waitFor('worker.started', starts.length + 1)
  const served = connectUntil(replaced, daemon)
  await replaced
  assert.ok((await served) > 0)
}

for (const signal of ['SIGKILL', 'SIGSEGV'] as const) {
  test(`of 1,000 sessions ${signal} to one worker ends its own alone, and it is replaced`, async () => {
    using open = new DisposableStack()
    const byPid = await openSessions(open)
    // One after the other, so that the last has only new ones beside it.
    for (const [victim, own] of byPid) {
      byPid.delete(victim)
      await replace(victim, signal)
      for (const peer of own) assert.equal(await peer.end(), '')
      const others = [...byPid.values()].flat()
      for (const [number, peer] of others.entries()) {
        assert.equal(await peer.send(`still ${number}\r\n`).line(), `still ${number}`)
      }
    }
    assert.equal(byPid.size, 0)
    assert.deepEqual(daemon.eventsOf('worker.delayed'), [])
  })
}
