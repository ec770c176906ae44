/** The queue against a clock that tests move, on a disk in memory, with attempts that are only played. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { EventFields, EventName } from '../../../src/base/log.ts'
import { Queue } from '../../../src/daemon/queue/queue.ts'
import type { AttemptEnd } from '../../../src/daemon/queue/queue-attempt.ts'
import { FileSpoolWriter } from '../../../src/spool/file-spool-writer.ts'
import type { MessageFile } from '../../../src/spool/message-file.ts'
import { spoolPlaces } from '../../../src/spool/spool-places.ts'
import type { SpoolStore } from '../../../src/spool/spool-store.ts'
import { FailingDisk } from '../../support/failing-disk.ts'
import { SimulatedClock } from '../../support/simulated-clock.ts'
import { envelopeOf, inMemory, openStore, owed, plainMessage } from '../../support/spool.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const settled: AttemptEnd = { kind: 'settled', aside: undefined }

function failedAt(backend = 'fritz', isUnreachable = true): AttemptEnd {
  const unreachable = isUnreachable ? [backend] : []
  return { kind: 'waiting', hasTried: true, skipped: [], unreachable }
}

type Play = (file: MessageFile, only: readonly string[] | undefined) => Promise<AttemptEnd>

class World {
  readonly clock = new SimulatedClock()
  readonly disk: FailingDisk
  readonly places = spoolPlaces('/state')
  readonly writer: FileSpoolWriter
  /** When each attempt began, in monotonic time. */
  readonly attempts: { readonly id: string; readonly at: number; readonly ageMs: number }[] = []
  readonly logged: { readonly name: EventName; readonly fields: object }[] = []
  play: Play = async () => failedAt('fritz', false)
  #queue: Queue | undefined
  #store: SpoolStore | undefined

  constructor(disk = new FailingDisk()) {
    this.disk = disk
    const caps = { maxMessages: 1000, maxSizeBytes: Infinity }
    const { places, clock } = this
    this.writer = new FileSpoolWriter({ disk, places, caps, clock })
  }

  async start(hasCrashed = false): Promise<Queue> {
    this.#store = await openStore(this.disk, this.places)
    const { clock } = this
    this.#queue = new Queue({
      store: this.#store,
      clock,
      random: () => 0.5,
      hasCrashed,
      log: (name, fields) => this.logged.push({ name, fields }),
      attempt: (file, ageMs, only) => {
        this.attempts.push({ id: file.head.id, at: clock.now(), ageMs })
        return this.play(file, only)
      },
    })
    await this.#queue.start()
    await this.rest()
    return this.#queue
  }

  accept(...addresses: readonly string[]): Promise<string> {
    const recipients = addresses.map((one) => owed(one))
    return this.writer.accept(envelopeOf(recipients), inMemory(plainMessage))
  }

  /** Lets all that is under way come to its end. */
  async rest(): Promise<void> {
    for (let turn = 0; turn < 50; turn++) await setImmediate()
  }

  async pass(ms: number): Promise<void> {
    const end = this.clock.now() + ms
    while (this.clock.nextDueMs <= end) {
      this.clock.advance(this.clock.nextDueMs - this.clock.now())
      await this.rest()
    }
    this.clock.advance(end - this.clock.now())
    await this.rest()
  }

  eventsOf<Name extends EventName>(name: Name): EventFields[Name][] {
    return this.logged.flatMap((one) =>
      one.name === name ? [one.fields as EventFields[Name]] : [],
    )
  }

  get store(): SpoolStore {
    assert(this.#store !== undefined)
    return this.#store
  }

  async stop(): Promise<void> {
    await this.#queue?.stop()
  }
}

/** Minutes between attempts. */
function gaps(world: World): number[] {
  return world.attempts
    .slice(1)
    .map(({ at }, index) => Math.round((at - (world.attempts[index]?.at ?? 0)) / minute))
}

test('a message is tried at once, and then after 1, 2, 5, 10, 20, 40, 60, 60 minutes', async () => {
  const world = new World()
  await world.accept('ann@example.com')
  await world.start()
  await world.pass(5 * hour)
  assert.deepEqual(gaps(world).slice(0, 8), [1, 2, 5, 10, 20, 40, 60, 60])
  await world.stop()
})

test('a queue that is started again goes on where it was', async () => {
  const world = new World()
  await world.accept('ann@example.com')
  await world.start()
  await world.pass(20 * minute)
  assert.equal(world.attempts.length, 5)
  await world.stop()
  const after = world.disk.after('kill')
  const again = new World(after)
  again.clock.stepWall(20 * minute)
  await again.start()
  assert.equal(again.attempts.length, 0, 'it is not due yet')
  await again.pass(20 * minute)
  assert.equal(again.attempts.length, 1)
  assert.ok(Math.abs((again.attempts[0]?.ageMs ?? 0) - 38 * minute) < 2 * minute)
  await again.stop()
})

for (const step of [-30 * day, -day, day, 30 * day]) {
  test(`the clock set by ${step / day} days moves no attempt, and is told once`, async () => {
    const world = new World()
    await world.accept('ann@example.com')
    await world.start()
    await world.pass(10 * minute)
    world.clock.stepWall(step)
    await world.pass(4 * hour)
    assert.deepEqual(gaps(world).slice(0, 6), [1, 2, 5, 10, 20, 40])
    assert.ok(
      world.attempts.every(({ ageMs }) => ageMs < 5 * hour),
      'nor does it age anything',
    )
    assert.deepEqual(world.eventsOf('clock.stepped'), [{ step_ms: step }])
    // Nor does a start after it make a storm, or a sleep of days.
    await world.stop()
    const again = new World(world.disk.after('kill'))
    again.clock.stepWall(-step)
    await again.start()
    await again.pass(73 * minute)
    assert.ok(again.attempts.length >= 1 && again.attempts.length <= 3)
    await again.stop()
  })
}

test('while a back-end is down one message at a time asks for it, and when it is up all go', async () => {
  const world = new World()
  let isUp = false
  let queue: Queue | undefined
  world.play = async () => {
    if (!isUp) return failedAt()
    queue?.reached('fritz')
    return settled
  }
  for (let count = 0; count < 30; count++) await world.accept('ann@example.com')
  queue = await world.start()
  // Until all wait for an hour each.
  await world.pass(6 * hour)
  const before = world.attempts.length
  await world.pass(10 * minute)
  isUp = true
  await world.pass(minute)
  assert.equal(queue.usage.messages, 0, 'within a minute all are gone')
  assert.ok(world.attempts.length - before < 30 + 30 * 2 + 20)
  await world.stop()
})

test('what waits for a back-end goes when others see that it is up, and no other', async () => {
  const world = new World()
  let isUp = false
  world.play = async () => (isUp ? settled : failedAt())
  for (let count = 0; count < 3; count++) await world.accept('ann@example.com')
  const queue = await world.start()
  await world.pass(20 * minute)
  isUp = true
  queue.cameUp('klaus')
  await world.rest()
  assert.equal(queue.usage.messages, 3)
  queue.cameUp('fritz')
  await world.rest()
  assert.equal(queue.usage.messages, 0)
  await world.stop()
})

test('while thousands are still being found the first are tried, and new ones are taken', async () => {
  const world = new World()
  for (let count = 0; count < 900; count++) await world.accept('ann@example.com')
  let found = -1
  world.play = async () => {
    if (found === -1) found = world.logged.filter(({ name }) => name === 'spool.ready').length
    return settled
  }
  const queue = await world.start()
  assert.equal(found, 0, 'before all were found')
  const id = await world.accept('ann@example.com')
  await queue.notice([id])
  while (queue.usage.messages > 0) await world.rest()
  assert.equal(world.attempts.length, 901)
  assert.equal(world.attempts.at(-1)?.id, id)
  await world.stop()
})

test('a message that ended the process three times is set aside, and others beside it are not', async () => {
  let disk = new FailingDisk()
  let poison = ''
  let innocent = ''
  for (let life = 0; life < 4; life++) {
    const world = new World(disk)
    if (life === 0) {
      poison = await world.accept('ann@example.com')
      innocent = await world.accept('ann@example.com')
    }
    const hanging = new Set<string>()
    world.play = async (file) => {
      await file.append({ do: 'attempt', at: 1 }, 'lazy')
      hanging.add(file.head.id)
      // The process dies in the middle of it.
      if (life === 0 || file.head.id === poison) return new Promise(() => undefined)
      await file.append({ do: 'ended', at: 1, next: world.clock.wall() + hour }, 'lazy')
      return { kind: 'waiting', hasTried: false, skipped: [], unreachable: [] }
    }
    await world.start(life > 0)
    if (life === 0) assert.equal(hanging.size, 2, 'both were under way')
    else if (life < 3) assert.ok(hanging.has(poison))
    else {
      assert.deepEqual(
        world.eventsOf('spool.quarantined').map(({ id, reason }) => [id, reason]),
        [[poison, 'poison']],
      )
      assert.deepEqual((await world.store.contents()).ids, [innocent])
    }
    disk = world.disk.after('kill')
  }
})

test('a process that was killed from outside counts against no message', async () => {
  let disk = new FailingDisk()
  for (let life = 0; life < 6; life++) {
    const world = new World(disk)
    if (life === 0) await world.accept('ann@example.com')
    world.play = async (file) => {
      await file.append({ do: 'attempt', at: 1 }, 'lazy')
      return new Promise(() => undefined)
    }
    await world.start(false)
    assert.equal(world.attempts.length, 1, `life ${life}`)
    assert.deepEqual(world.eventsOf('spool.quarantined'), [])
    disk = world.disk.after('kill')
  }
})

test('those that have ended the process go one at a time', async () => {
  const first = new World()
  for (let count = 0; count < 5; count++) await first.accept('ann@example.com')
  first.play = async (file) => {
    await file.append({ do: 'attempt', at: 1 }, 'lazy')
    return new Promise(() => undefined)
  }
  await first.start()
  const world = new World(first.disk.after('kill'))
  let active = 0
  let most = 0
  world.play = async () => {
    most = Math.max(most, ++active)
    await setImmediate()
    active--
    return settled
  }
  const queue = await world.start(true)
  assert.equal(world.attempts.length, 5)
  assert.equal(most, 1)
  assert.equal(queue.usage.messages, 0)
  await world.stop()
})

test('a back-end that is slow holds up its own messages only, and gets so many at once', async () => {
  const world = new World()
  const slow: (() => void)[] = []
  let active = 0
  let most = 0
  world.play = async (file) => {
    const [recipient] = file.head.envelope.recipients
    if (recipient?.address.startsWith('ann')) {
      most = Math.max(most, ++active)
      await new Promise<void>((resolve) => slow.push(resolve))
      active--
    }
    return settled
  }
  for (let count = 0; count < 60; count++) await world.accept('ann@example.com')
  for (let count = 0; count < 10; count++) {
    const state = { kind: 'owed', backend: 'ingrid', reason: '' } as const
    const envelope = envelopeOf([owed('ida@example.com', { state })])
    await world.writer.accept(envelope, inMemory(plainMessage))
  }
  const queue = await world.start()
  assert.equal(queue.usage.messages, 60, 'all others are gone')
  assert.equal(slow.length, 20)
  while (slow.length > 0) {
    slow.shift()?.()
    await world.rest()
  }
  assert.equal(most, 20)
  assert.equal(queue.usage.messages, 0)
  await world.stop()
})

test('where all slots of a back-end are taken, only that one is tried next', async () => {
  const world = new World()
  const asked: (readonly string[] | undefined)[] = []
  world.play = async (_file, only) => {
    asked.push(only)
    if (asked.length > 1) return settled
    return { kind: 'waiting', hasTried: true, skipped: ['ingrid'], unreachable: ['fritz'] }
  }
  await world.accept('ann@example.com')
  await world.start()
  assert.deepEqual(asked, [undefined, ['ingrid']])
  await world.stop()
})

test('what nobody has told of is found within minutes, and what somebody took away is forgotten', async () => {
  const world = new World()
  const queue = await world.start()
  await world.accept('ann@example.com')
  assert.equal(queue.usage.messages, 0)
  await world.pass(5 * minute)
  assert.equal(queue.usage.messages, 1)
  const [id = ''] = (await world.store.contents()).ids
  await world.store.remove(id)
  await world.pass(hour)
  assert.equal(queue.usage.messages, 0)
  await world.stop()
})

/** A disk that cannot read one file, or cannot tell what there is. */
class BadDisk extends FailingDisk {
  unreadable = ''
  isListable = true

  #fail(): never {
    throw Object.assign(new Error('a bad sector'), { code: 'EIO' })
  }

  override openFound(path: string): ReturnType<FailingDisk['openFound']> {
    if (this.unreadable !== '' && path.includes(this.unreadable)) this.#fail()
    return super.openFound(path)
  }

  override list(directory: string): Promise<string[]> {
    if (!this.isListable && directory.endsWith('/spool')) this.#fail()
    return super.list(directory)
  }
}

test('a message that cannot be read is kept aside and told, and others go', async () => {
  const disk = new BadDisk()
  const world = new World(disk)
  world.play = async () => settled
  const bad = await world.accept('ann@example.com')
  const good = await world.accept('ann@example.com')
  disk.unreadable = bad
  await world.start()
  await world.pass(minute)
  assert.deepEqual(
    world.attempts.map(({ id }) => id),
    [good],
  )
  assert.deepEqual(
    world.eventsOf('spool.quarantined').map(({ id, reason }) => [id, reason]),
    [[bad, 'unreadable']],
  )
  assert.deepEqual(
    (await world.store.quarantined()).map(({ id }) => id),
    [bad],
  )
  await world.stop()
})

test('a spool that cannot be listed is told, and looked at again', async () => {
  const disk = new BadDisk()
  const world = new World(disk)
  world.play = async () => settled
  await world.accept('ann@example.com')
  disk.isListable = false
  const queue = await world.start()
  const [alarm] = world.eventsOf('internal')
  assert.equal(alarm?.reason, 'spool_eio')
  assert.match(alarm.detail, /^the spool cannot be listed: a bad sector$/)
  disk.isListable = true
  await world.pass(5 * minute)
  assert.equal(world.attempts.length, 1)
  assert.equal(queue.usage.messages, 0)
  await world.stop()
})

test('a message that an administrator wants gone goes, also while it is delivered', async () => {
  const world = new World()
  const finishing = Promise.withResolvers<void>()
  world.play = async () => {
    await finishing.promise
    return failedAt()
  }
  const id = await world.accept('ann@example.com')
  const queue = await world.start()
  assert.equal(await queue.remove(id), true)
  assert.deepEqual((await world.store.contents()).ids, [id], 'not while it is under way')
  finishing.resolve()
  await world.rest()
  assert.deepEqual((await world.store.contents()).ids, [])
  assert.equal(world.eventsOf('queue.removed')[0]?.id, id)
  assert.equal(await queue.remove(id), false)
  await world.stop()
})
