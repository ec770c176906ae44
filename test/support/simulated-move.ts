/**
 * A world in which a user moves, drawn from one seed: two back-ends, a map, a daemon that may be
 * started anew, senders, a mail program, a writer inside the old back-end, and a mover that is killed
 * and run again. All of it is in memory; time goes on by one tick with whatever the mover does.
 *
 * What is simulated is what `MoveWork` stands for. The machine and its driver are the real ones.
 */
import type { Move, MoveDetails, MovePlan } from '../../src/map/state/move-journal.ts'
import type { MoveStepRow } from '../../src/map/state/move-schema.ts'
import { MailmuxError } from '../../src/base/error.ts'
import {
  type Copied,
  Disturbed,
  type MoveRecords,
  type MoveWork,
} from '../../src/migrate/run-move.ts'

export type Home = 'fritz' | 'ingrid'

export interface Letter {
  readonly id: number
  flags: string
}

/** One back-end's store of the user: UID → message. UIDs are never given out again. */
class Store {
  readonly letters = new Map<number, Letter>()
  uidNext = 1

  add(letter: Letter): number {
    this.letters.set(this.uidNext, { ...letter })
    return this.uidNext++
  }
}

/** The process is gone. */
export class Killed extends Error {}

export interface Faults {
  /** Of a thousand ticks. */
  readonly kills: number
  readonly failures: number
  readonly restarts: number
  readonly internalWrites: number
  /** Messages that may be copied in a day of so many ticks, while the user is not frozen. */
  readonly daily?: { readonly messages: number; readonly ticks: number }
}

/** A freeze that nobody asks for again is over after so many ticks. */
const freezeTicks = 12

export class World implements MoveRecords, MoveWork {
  readonly stores = { fritz: new Store(), ingrid: new Store() }
  home: Home = 'fritz'
  /** Told 250 and not deleted by the user: id → flags that the user gave. */
  readonly ledger = new Map<number, string>()
  /** Written by somebody inside the old back-end. */
  readonly inside = new Set<number>()
  /**
   * Stored at the new back-end by a mover that was killed before it wrote that down. Where the user
   * has deleted one before the next run, it comes back: nobody can tell whose it is there.
   */
  readonly strays = new Set<number>()
  readonly homes: Home[] = ['fritz']
  calls = 0
  /** The call or write during which the mover is killed; of a seed where it is undefined. */
  killAt: { readonly call: number; readonly when: 'before' | 'after' } | undefined
  /** The call that fails. */
  failAt: number | undefined
  longestFreeze = 0
  /** When the user was frozen for the first time. */
  firstFreezeMs: number | undefined
  /** How often the limit of a day was reached, and how often it was waited for the time of the move. */
  limited = 0
  waits = 0
  /** What somebody else does while the mover waits, after its first tick. */
  meanwhile: (() => Promise<void>) | undefined
  /** A tick is a second. */
  readonly clock = { wall: (): number => this.#tick * 1000 }
  readonly #random: () => number
  #faults: Faults
  readonly #rows: Move[] = []
  /** Source UID → target UID; durable, as the table in state.db is. */
  readonly #table = new Map<number, number>()
  #cursor = 0
  #frozen: { epoch: number; since: number; until: number } | undefined
  #highestEpoch = 0
  #mover: { isAlive: boolean; epoch: number; lookedAt: string; gap: boolean } = newMover()
  #tick = 0
  #ids = 0
  #copiedToday = { day: 0, messages: 0 }

  constructor(random: () => number, faults: Faults) {
    this.#random = random
    this.#faults = faults
  }

  begin(plan: MovePlan, at?: number): Move {
    const done = { passes: 0, copied: 0, bytes: 0, freezes: 0, sweeps: 0, stragglers: 0 }
    const details = { ...done, ...(at === undefined ? {} : { at }) }
    const move: Move = {
      ...plan,
      id: 1,
      startedAt: 0,
      changedAt: 0,
      step: 'planned',
      epoch: 1,
      details,
    }
    this.#rows.push(move)
    return move
  }

  /** Another run of the command. */
  start(): Move {
    this.#mover = newMover()
    return this.read(1)
  }

  /** Nothing fails any more. */
  calm(): void {
    const { daily } = this.#faults
    const limits = daily === undefined ? {} : { daily }
    this.#faults = { ...limits, kills: 0, failures: 0, restarts: 0, internalWrites: 0 }
  }

  get isFrozen(): boolean {
    return this.#frozen !== undefined
  }

  /** Traffic without a mover. */
  rest(ticks: number): void {
    for (let count = 0; count < ticks; count++) this.#traffic()
  }

  read(_id: number): Move {
    return this.#rows.at(-1) as Move
  }

  get steps(): string[] {
    return this.#rows.map(({ step }) => step)
  }

  enter(move: Move, next: Partial<Pick<Move, 'step' | 'epoch' | 'details'>>): Move {
    return this.#call(() => {
      const row = { ...move, ...next }
      this.#rows.push(row)
      return row
    })
  }

  async look(): Promise<void> {
    this.#call(() => undefined)
  }

  async pass(): Promise<Copied> {
    return this.#pass()
  }

  async wait(until: number, isAwaited: () => boolean): Promise<void> {
    this.waits++
    await this.meanwhile?.()
    while (this.clock.wall() < until && isAwaited()) this.#call(() => undefined)
  }

  async freeze(epoch: number): Promise<void> {
    this.#call(() => {
      this.firstFreezeMs ??= this.clock.wall()
      if (epoch < this.#highestEpoch) throw new MailmuxError('MOVE_UNFROZEN', 'superseded')
      this.#highestEpoch = epoch
      this.#frozen = { epoch, since: this.#tick, until: this.#tick + freezeTicks }
      this.#mover.epoch = epoch
    })
  }

  async settle(_signal?: AbortSignal): Promise<Copied> {
    const copied = this.#pass()
    this.#mover.gap = false
    const more = this.#pass()
    this.#mover.lookedAt = this.#contents('fritz')
    this.#refuseGap()
    return { copied: copied.copied + more.copied, bytes: 0 }
  }

  async verify(): Promise<boolean> {
    const isEqual = this.#call(() => {
      const named = new Set(this.#table.values())
      const there = [...this.stores.ingrid.letters]
        .filter(([uid]) => named.has(uid))
        .map(([, { id, flags }]) => `${id}${flags}`)
      const here = [...this.stores.fritz.letters.values()].map(({ id, flags }) => `${id}${flags}`)
      return there.sort().join() === here.sort().join()
    })
    this.#refuseGap()
    return isEqual
  }

  async flip(row: MoveStepRow): Promise<void> {
    this.#call(() => {
      this.#refuseGap()
      if (this.#contents('fritz') !== this.#mover.lookedAt) throw new Disturbed()
      this.home = 'ingrid'
      this.homes.push('ingrid')
      this.#cursor = this.stores.fritz.uidNext
      const details = JSON.parse(row.details) as MoveDetails
      this.#rows.push({ ...this.read(1), step: 'flipped', epoch: row.epoch, details })
    })
  }

  async thaw(epoch: number): Promise<void> {
    this.#call(() => {
      if (this.#frozen !== undefined && this.#frozen.epoch <= epoch) this.#thaw()
    })
  }

  async sweep(): Promise<number> {
    const { fritz } = this.stores
    let found = 0
    const until = fritz.uidNext
    for (const [uid, letter] of fritz.letters.entries().toArray()) {
      if (uid >= this.#cursor && !this.#table.has(uid)) found += this.#copy(uid, letter)
    }
    this.#call(() => void (this.#cursor = until))
    return found
  }

  /** One call of the mover: with traffic before it, and possibly its end before or after it. */
  #call<Result>(work: () => Result): Result {
    if (!this.#mover.isAlive) throw new Killed()
    this.calls++
    this.#traffic()
    if (this.#mover.epoch > 0 && this.#frozen?.epoch === this.#mover.epoch) {
      this.#frozen.until = this.#tick + freezeTicks
    }
    const { kills, failures } = this.#faults
    const fate = this.#random() * 1000
    const killed = this.killAt?.call === this.calls ? this.killAt.when : this.#killOf(fate, kills)
    if (killed === 'before') this.#kill()
    const down = new MailmuxError('BACKEND_UNREACHABLE', 'it is down')
    if (this.failAt === this.calls || (fate >= kills && fate < kills + failures / 2)) throw down
    const result = work()
    // It was done, and the answer was lost.
    if (fate >= kills + failures / 2 && fate < kills + failures) throw down
    if (killed === 'after') this.#kill()
    return result
  }

  #killOf(fate: number, kills: number): 'before' | 'after' | undefined {
    if (fate >= kills) return undefined
    return fate * 2 < kills ? 'before' : 'after'
  }

  #kill(): never {
    this.#mover.isAlive = false
    throw new Killed()
  }

  #refuseGap(): void {
    if (this.#frozen?.epoch !== this.#mover.epoch || this.#mover.gap) {
      // As the barrier does: it is asked for again, and what was done in between does not count.
      if (this.#mover.epoch >= this.#highestEpoch) {
        this.#frozen = { epoch: this.#mover.epoch, since: this.#tick, until: this.#tick + 12 }
      }
      this.#mover.gap = false
      throw new Disturbed()
    }
  }

  /** One message after the other, each of which may be the last. */
  #pass(): Copied {
    const { fritz, ingrid } = this.stores
    let copied = 0
    for (const [uid, there] of this.#table.entries().toArray()) {
      if (fritz.letters.has(uid)) continue
      this.#call(() => {
        ingrid.letters.delete(there)
        this.#table.delete(uid)
      })
    }
    for (const [uid, letter] of fritz.letters.entries().toArray()) {
      const known = this.#table.get(uid)
      const there = known === undefined ? undefined : ingrid.letters.get(known)
      if (there?.flags === letter.flags) continue
      if (there !== undefined) this.#call(() => void (there.flags = letter.flags))
      else copied += this.#copy(uid, letter)
    }
    this.#call(() => undefined)
    return { copied, bytes: 0 }
  }

  /** Stored first, then written down: what was stored and has no row is known again. */
  #copy(uid: number, letter: Letter): number {
    const { fritz, ingrid } = this.stores
    if (!fritz.letters.has(uid)) return 0
    const named = new Set(this.#table.values())
    const orphan = [...ingrid.letters].find(([at, { id }]) => id === letter.id && !named.has(at))
    this.#refuseTooMany()
    const wasStray = this.strays.has(letter.id)
    this.strays.add(letter.id)
    const at = orphan?.[0] ?? this.#call(() => ingrid.add(letter))
    this.#call(() => this.#table.set(uid, at))
    if (!wasStray) this.strays.delete(letter.id)
    return 1
  }

  /** No limit holds within a freeze, nor for what is swept after it. */
  #refuseTooMany(): void {
    const { daily } = this.#faults
    if (daily === undefined || this.#frozen !== undefined || this.home === 'ingrid') return
    const day = Math.floor(this.#tick / daily.ticks)
    const messages = this.#copiedToday.day === day ? this.#copiedToday.messages : 0
    if (messages >= daily.messages) {
      this.limited++
      throw new MailmuxError('DAY_LIMIT_REACHED', 'no more today')
    }
    this.#copiedToday = { day, messages: messages + 1 }
  }

  #contents(home: Home): string {
    return [...this.stores[home].letters].map(([uid, { flags }]) => `${uid}${flags}`).join()
  }

  #thaw(): void {
    if (this.#frozen === undefined) return
    this.longestFreeze = Math.max(this.longestFreeze, this.#tick - this.#frozen.since)
    this.#frozen = undefined
    this.#mover.gap = true
  }

  #traffic(): void {
    this.#tick++
    if (this.#frozen !== undefined && this.#frozen.until <= this.#tick) this.#thaw()
    const fate = this.#random() * 1000
    const { restarts, internalWrites } = this.#faults
    if (fate < restarts) this.#thaw()
    else if (fate < restarts + internalWrites) {
      const id = ++this.#ids
      this.stores.fritz.add({ id, flags: '' })
      this.ledger.set(id, '')
      this.inside.add(id)
    }
    if (this.#frozen === undefined) this.#work()
  }

  /** Mail, flags and deletions, where the user is let in. */
  #work(): void {
    const store = this.stores[this.home]
    const chance = this.#random()
    const letters = [...store.letters]
    const one = letters[Math.floor(this.#random() * letters.length)]
    if (chance < 0.2 || letters.length < 5) {
      const id = ++this.#ids
      store.add({ id, flags: '' })
      this.ledger.set(id, '')
    } else if (one !== undefined && chance < 0.35) {
      one[1].flags = one[1].flags === '' ? 'S' : ''
      this.ledger.set(one[1].id, one[1].flags)
    } else if (one !== undefined && chance < 0.5) {
      store.letters.delete(one[0])
      this.ledger.delete(one[1].id)
    }
  }
}

function newMover(): { isAlive: boolean; epoch: number; lookedAt: string; gap: boolean } {
  return { isAlive: true, epoch: 0, lookedAt: '', gap: false }
}
