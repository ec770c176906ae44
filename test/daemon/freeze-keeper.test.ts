/** Who is frozen in a daemon, whatever comes in between: processes are only played. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventFields, EventName, Log } from '../../src/base/log.ts'
import type { Ask, FreezeAck, Replies } from '../../src/daemon/channel.ts'
import { FreezeKeeper } from '../../src/daemon/freeze-keeper.ts'
import type { Daemon } from '../../src/daemon/session-control.ts'
import type { WorkerProcess } from '../../src/daemon/worker-process.ts'
import { parseTestConfig } from '../support/test-runtime.ts'

const ann = 'ann@example.com'
const { naming } = parseTestConfig(
  'hostname: mx\ndomains: [example.com]\nbackends: {a: {host: x, imap: 143}}\n',
)
const clear: FreezeAck = { complete: true, sessions: 1, deliveries: 0 }

/** A process that answers as it is told to; undefined: not in time, or it has died. */
class Played {
  readonly role = 'worker'
  readonly number: number
  isListening = true
  isGone = false
  exited: Promise<unknown> = new Promise(() => {})
  readonly asked: Ask[] = []
  answer: () => Promise<FreezeAck | undefined> = () => Promise.resolve(clear)

  constructor(number: number) {
    this.number = number
  }

  async ask(ask: Ask): Promise<Replies[Ask['do']] | undefined> {
    this.asked.push(ask)
    return ask.do === 'freeze' ? this.answer() : null
  }
}

class World implements Daemon {
  readonly played: Played[]
  readonly naming = naming
  readonly logged: { readonly name: EventName; readonly fields: object }[] = []
  readonly keeper = new FreezeKeeper(this)

  constructor(count = 2) {
    this.played = Array.from({ length: count }, (_, index) => new Played(index + 1))
  }

  get workers(): readonly WorkerProcess[] {
    return this.played as unknown as readonly WorkerProcess[]
  }

  readonly log: Log = (name, fields) => {
    this.logged.push({ name, fields })
  }

  thaws(): string[] {
    return this.logged
      .filter(({ name }) => name === 'user.thawed')
      .map(({ fields }) => (fields as EventFields['user.thawed']).reason)
  }
}

test('a freeze is complete when every process has answered so', async () => {
  const world = new World()
  const report = await world.keeper.freeze({ user: 'Ann@Example.COM', epoch: 1, ttl_ms: 60_000 })
  assert.deepEqual([report.user, report.complete], [ann, true])
  assert.deepEqual(report.processes, [
    { worker: 1, ...clear },
    { worker: 2, ...clear },
  ])
  assert.ok(report.expires_ms > 59_000 && report.expires_ms <= 60_000)
  assert.deepEqual(
    world.keeper.notices.map(({ user, epoch }) => [user, epoch]),
    [[ann, 1]],
  )
  assert.deepEqual(await world.keeper.thaw({ user: ann, epoch: 1 }), {
    user: ann,
    epoch: 1,
    thawed: true,
  })
  assert.deepEqual(world.keeper.notices, [])
  assert.deepEqual(
    world.played.map(({ asked }) => asked.map((ask) => ask.do)),
    [
      ['freeze', 'thaw'],
      ['freeze', 'thaw'],
    ],
  )
  assert.deepEqual(world.thaws(), ['asked'])
})

test('one that does not answer makes it incomplete; one that has died does not', async () => {
  const world = new World(3)
  const [silent, dead, unready] = world.played
  if (silent !== undefined) silent.answer = () => Promise.resolve(undefined)
  if (dead !== undefined) {
    dead.answer = () => {
      dead.isGone = true
      dead.exited = Promise.resolve()
      return Promise.resolve(undefined)
    }
  }
  // It is given all freezes before it takes a client.
  if (unready !== undefined) unready.isListening = false
  const report = await world.keeper.freeze({ user: ann, epoch: 1, ttl_ms: 60_000 })
  assert.equal(report.complete, false)
  assert.deepEqual(
    report.processes.map(({ worker, complete }) => [worker, complete]),
    [
      [1, false],
      [2, true],
    ],
  )
  assert.deepEqual(unready?.asked, [])
  await world.keeper.thaw({ user: ann, epoch: 1 })
})

test('an older epoch changes nothing, in whatever order they come', async () => {
  const world = new World()
  const { keeper } = world
  await keeper.freeze({ user: ann, epoch: 5, ttl_ms: 60_000 })
  const late = await keeper.freeze({ user: ann, epoch: 4, ttl_ms: 60_000 })
  assert.deepEqual([late.complete, late.superseded_by, late.processes], [false, 5, []])
  const thaw = await keeper.thaw({ user: ann, epoch: 4 })
  assert.deepEqual([thaw.thawed, thaw.superseded_by], [false, 5])
  assert.equal(keeper.notices.length, 1)
  const taken = await keeper.freeze({ user: ann, epoch: 6, ttl_ms: 60_000 })
  assert.equal(taken.complete, true)
  assert.equal((await keeper.thaw({ user: ann, epoch: 5 })).thawed, false)
  assert.equal((await keeper.thaw({ user: ann, epoch: 7 })).thawed, true)
  // Thawed as it is, it is not frozen again by who was given up.
  assert.equal((await keeper.freeze({ user: ann, epoch: 6, ttl_ms: 1 })).superseded_by, 7)
  assert.deepEqual(world.thaws(), ['superseded', 'asked'])
})

test('a freeze that is thawed while processes are still asked is not complete', async () => {
  const world = new World(1)
  const gate = Promise.withResolvers<void>()
  const [only] = world.played
  if (only !== undefined) {
    only.answer = async () => {
      await gate.promise
      return clear
    }
  }
  const freezing = world.keeper.freeze({ user: ann, epoch: 1, ttl_ms: 60_000 })
  await world.keeper.thaw({ user: ann, epoch: 1 })
  gate.resolve()
  assert.equal((await freezing).complete, false)
})

test('who asks again keeps it, and sees that there was no gap', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const world = new World()
  const { keeper } = world
  await keeper.freeze({ user: ann, epoch: 1, ttl_ms: 1000 })
  context.mock.timers.tick(900)
  const again = await keeper.freeze({ user: ann, epoch: 1, ttl_ms: 1000 })
  assert.equal(again.complete, true)
  context.mock.timers.tick(900)
  assert.equal(keeper.notices.length, 1)
  // Whoever wanted it has died.
  context.mock.timers.tick(100)
  assert.deepEqual(keeper.notices, [])
  assert.deepEqual(world.thaws(), ['expired'])
  const anew = await keeper.freeze({ user: ann, epoch: 1, ttl_ms: 3_600_000 })
  assert.ok(anew.frozen_ms < 500, `${anew.frozen_ms}`)
  assert.ok(anew.expires_ms <= 600_000, 'ten minutes at most')
  await keeper.thaw({ user: ann, epoch: 1 })
})

test('who is no user of ours cannot be frozen', async () => {
  const { keeper } = new World()
  for (const user of ['ann@example.org', 'a@b@c', '']) {
    await assert.rejects(keeper.freeze({ user, epoch: 1, ttl_ms: 1 }), /is no address of ours/)
  }
})
