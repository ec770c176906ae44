/**
 * The world in which a user moves, drawn from one seed: what happens in it goes on by one tick with each
 * command that a back-end is given, and each question to the daemon. It knows where the user lives, what
 * is to be there, and what must never be.
 */
import type { Command } from './simulated-imap-input.ts'
import { keeps, keyOf, type Watcher } from './simulated-imap.ts'
import type { SimulatedDaemon } from './simulated-daemon.ts'
import type { Fate, HostName, Judge, SimulatedHost } from './simulated-host.ts'
import { Killed, type Life } from './simulated-life.ts'
import { describeDifference, type Difference } from './simulated-ledger.ts'
import { type Message, Mailbox, pathOfKey, inbox } from './simulated-mailbox.ts'
import { calm, type Plan, planOf, type Rates } from './simulated-plan.ts'
import { type Random, randomOf } from './random.ts'
import { Traffic } from './simulated-traffic.ts'

/** A run of the command. */
export interface Mover {
  readonly from: HostName
  readonly to: HostName
  /** Ctrl-C. */
  readonly ending: AbortController
  isDead: boolean
}

export interface Parties {
  readonly hosts: Readonly<Record<HostName, SimulatedHost>>
  readonly daemon: SimulatedDaemon
}

/** What Ctrl-C is told as. */
export const interrupted = 'interrupted'

const refusals = [
  '[LIMIT] too much',
  '[UNAVAILABLE] try again',
  '[SERVERBUG] what was that',
  '[INUSE] somebody else has it',
]

export class World implements Judge, Life {
  readonly plan: Plan
  readonly mailboxes: Readonly<Record<HostName, Mailbox>>
  readonly traffic: Traffic
  home: HostName = 'fritz'
  tick = 0
  mover: Mover | undefined
  /** What must never be. */
  wrong: string | undefined
  /** Set while the transaction that gives the user another home is under way. */
  flipsTo: HostName | undefined
  /** The mover is about to give the user another home, */
  isFlipping = false
  /** and has looked at the source for the last time. */
  #isLookedAt = false
  /** What the run before this one, or this, was disturbed by. */
  faults = 0
  readonly trace: string[] = []
  /** Told of each command before it is performed. */
  onCommand: ((host: HostName, command: Command) => void) | undefined
  readonly #parties: Parties
  readonly #random: Random
  #rates: Rates
  readonly #downUntil = { fritz: 0, ingrid: 0 }
  #bye = ''
  /** Messages that nobody asked to be there: what was there before. */
  readonly #foreign: { path: readonly string[]; message: Message }[] = []

  constructor(seed: number, parties: Parties, changes: Partial<Plan> = {}) {
    this.#random = randomOf(seed)
    this.plan = { ...planOf(this.#random), ...changes }
    this.#rates = this.plan.rates
    this.#parties = parties
    const { deletes, source, target } = this.plan
    this.mailboxes = {
      fritz: new Mailbox(100, (flag) => keeps(source, flag)),
      ingrid: new Mailbox(900, (flag) => keeps(target, flag)),
    }
    this.traffic = new Traffic(this.#random, { deletes, files: deletes }, (what) => this.note(what))
    this.#fill()
  }

  get random(): Random {
    return this.#random
  }

  get isOver(): boolean {
    return this.mover?.isDead === true
  }

  watcherOf(name: HostName): Watcher {
    return {
      changes: (what) => {
        if (name !== this.mover?.to) this.fail(`the mover changes ${name}: ${what}`)
      },
      added: (messages, path) => {
        this.note(`${name} has ${messages.map(({ body }) => body.key).join(', ')}`)
        if (this.home === name)
          this.traffic.ledger.brought(path, messages, this.mailboxes[name].keeps)
      },
    }
  }

  note(what: string): void {
    if (process.env['SEED'] === undefined) return
    this.trace.push(`${this.tick} ${what.replaceAll(/\/\S*simulated-[^/]*\//g, '')}`)
  }

  /** The first thing that is wrong is told of; nothing goes on after it. */
  fail(what: string): void {
    this.note(`WRONG: ${what}`)
    this.wrong ??= what
    this.kill()
  }

  /** Nothing fails any more. */
  async settleDown(): Promise<void> {
    this.#rates = calm(this.#rates)
    this.#downUntil.fritz = 0
    this.#downUntil.ingrid = 0
    await this.#parties.daemon.start()
  }

  begin(mover: Mover): void {
    this.mover = mover
    this.note(`run from ${mover.from} to ${mover.to}`)
  }

  end(): void {
    this.mover = undefined
  }

  /** Time passes without a mover. */
  async rest(ticks: number): Promise<void> {
    for (let count = 0; count < ticks; count++) {
      // Nobody asks for it any more.
      if (this.mover === undefined && this.#happens(30)) this.#parties.daemon.forget()
      await this.pass()
    }
  }

  /** One tick of everything but the mover. */
  async pass(): Promise<void> {
    this.tick++
    const { restarts, expiries, outages, insideWrites, renumberings, work } = this.#rates
    const { daemon } = this.#parties
    if (this.#happens(restarts)) {
      this.faults++
      this.note('the daemon ends')
      await daemon.stop()
      if (this.#random() < 0.6) await daemon.start()
    } else if (!daemon.isUp && this.#happens(300)) await daemon.start()
    if (daemon.isFrozen && this.#happens(expiries)) {
      this.faults++
      this.note('the freeze is over by itself')
      daemon.forget()
    }
    for (const name of ['fritz', 'ingrid'] as const) {
      if (this.#isDown(name) || !this.#happens(outages)) continue
      this.faults++
      this.#downUntil[name] = this.tick + Math.ceil(this.#random() * 20)
      this.#bye = this.#random() < 0.5 ? '' : '* BYE [UNAVAILABLE] back soon\r\n'
      this.note(`${name} is down`)
      this.#parties.hosts[name].cut(() => this.#random() < 0.5)
    }
    this.#writeInside(insideWrites)
    if (!this.#isLookedAt && this.home === 'fritz' && this.#happens(renumberings)) this.#renumber()
    if (this.isLetIn && this.#happens(work)) this.traffic.work(this.mailboxes[this.home])
  }

  /** Whether mail and logins go to the home now. */
  get isLetIn(): boolean {
    const { daemon } = this.#parties
    return daemon.isUp && !daemon.isFrozen && !this.#isDown(this.home)
  }

  async judge(host: SimulatedHost, command: Command): Promise<Fate> {
    await this.#step()
    if (this.isOver) return 'cut before'
    this.onCommand?.(host.name, command)
    const isList = command.name === 'LIST' && host.name === this.mover?.from
    this.#isLookedAt = this.isFlipping && (this.#isLookedAt || isList)
    this.note(`${host.name} ${command.tag} ${command.name} ${String(command.words).slice(0, 60)}`)
    if (this.#happens(this.#rates.cuts)) {
      this.faults++
      const fate = this.#random() < 0.5 ? 'cut before' : 'cut after'
      this.note(fate)
      return fate
    }
    const mayBeRefused = command.name === 'APPEND' || this.#random() < 0.2
    if (mayBeRefused && command.name !== 'LOGOUT' && this.#happens(this.#rates.refusals)) {
      this.faults++
      const no = this.traffic.pick(refusals) ?? ''
      this.note(no)
      return { no }
    }
    return 'served'
  }

  refusal({ name }: SimulatedHost): string | undefined {
    if (this.isOver) return ''
    return this.#isDown(name) ? this.#bye : undefined
  }

  /** Of the daemon. */
  async asked(what: string): Promise<void> {
    await this.#step()
    if (this.isOver) throw new Killed()
    this.note(`daemon ${what}`)
  }

  isLate(): boolean {
    return this.#fault(this.#rates.lates)
  }

  isLost(): boolean {
    return this.#fault(this.#rates.lostAnswers)
  }

  beforeWrite(): void {
    const { lastWrites, fullDisks } = this.#rates
    if (this.#fault(lastWrites / 2)) {
      this.kill()
      throw new Killed()
    }
    if (this.#fault(fullDisks)) {
      this.note('the disk is full')
      throw Object.assign(new Error('database or disk is full'), { errcode: 13 })
    }
  }

  afterWrite(): void {
    if (this.flipsTo !== undefined) this.#flip(this.flipsTo)
    if (!this.#fault(this.#rates.lastWrites / 2)) return
    this.kill()
    throw new Killed()
  }

  /** From now on nothing that the mover does is of any effect. */
  kill(): void {
    if (this.mover === undefined || this.mover.isDead) return
    this.note('killed')
    this.faults++
    this.mover.isDead = true
    for (const host of Object.values(this.#parties.hosts)) host.cut(() => this.#random() < 0.5)
    this.mover.ending.abort(new Killed())
  }

  /** What is there otherwise than it should be. */
  differences(): Difference[] {
    return this.traffic.ledger.compare(this.mailboxes[this.home])
  }

  traitsOf(name: HostName): Plan['source'] {
    return this.#traitsOf(name)
  }

  #traitsOf(name: HostName): Plan['source'] {
    return name === 'fritz' ? this.plan.source : this.plan.target
  }

  /** The moment in which the user gets another home. */
  #flip(to: HostName): void {
    this.flipsTo = undefined
    if (this.isLetIn) this.fail(`the user is let in at ${this.home} when the home becomes ${to}`)
    const { ledger } = this.traffic
    this.home = to
    ledger.keep(this.mailboxes[to].keeps)
    for (const { path, message } of this.#foreign.splice(0)) {
      ledger.add(path, { body: message.body, flags: message.flags, isInside: false })
    }
    for (const { path, entry } of this.differences()) {
      // What somebody inside has written since the last look is brought over by the sweep.
      if (entry?.isInside !== true) continue
      ledger.remove(path, entry)
      ledger.left.push({ path, entry })
    }
    const missing = this.differences().filter(({ entry }) => entry !== undefined)
    if (missing.length > 0)
      this.fail(`as it is flipped: ${missing.map(describeDifference).join('; ')}`)
    this.note(`home is ${to}`)
  }

  async #step(): Promise<void> {
    if (this.isOver) return
    await this.pass()
    if (this.#fault(this.#rates.kills)) this.kill()
    if (this.#fault(this.#rates.interrupts)) {
      this.note('interrupted')
      this.mover?.ending.abort(new Error(interrupted))
    }
  }

  #happens(rate: number): boolean {
    return rate > 0 && this.#random() * 1000 < rate
  }

  #fault(rate: number): boolean {
    const isSo = this.mover !== undefined && !this.isOver && this.#happens(rate)
    if (isSo) this.faults++
    return isSo
  }

  #isDown(name: HostName): boolean {
    return this.#downUntil[name] > this.tick
  }

  #writeInside(rate: number): void {
    const { mover } = this
    const at = mover?.from ?? this.home
    if (!this.#happens(rate)) return
    // What is deleted there after the last look is lost: docs/migration.md, what is not claimed.
    const isDeleted = at === this.home && !this.#isLookedAt && this.#random() < 0.3
    if (isDeleted) this.traffic.delete(this.mailboxes[at])
    else this.traffic.writeInside(this.mailboxes[at], at !== this.home)
  }

  #renumber(): void {
    const { fritz } = this.mailboxes
    const path = pathOfKey(this.traffic.pick([...fritz.folders.keys()]) ?? inbox)
    this.note(`${path.join('/')} is numbered anew`)
    fritz.renumber(path)
  }

  #fill(): void {
    const { fritz, ingrid } = this.mailboxes
    for (let count = 0; count < this.plan.messages * 2; count++) this.traffic.work(fritz)
    if (!this.plan.isMerged) return
    const path = [inbox]
    const octets = Buffer.from('X-Number: foreign\r\n\r\n')
    const date = ' 1-Jan-2026 00:00:00 +0000'
    const body = { octets, date, key: keyOf(octets, date) }
    const message = ingrid.get(path)?.add({ body, flags: new Set(['\\Seen']) })
    if (message !== undefined) this.#foreign.push({ path, message })
  }
}
