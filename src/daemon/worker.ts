/**
 * A worker: takes settings from its supervisor, listens, and hands accepted sockets to the front
 * ends. It decides nothing about its own life: it stops when it is told to, or when its supervisor
 * is gone, or when it meets a fault of ours.
 */
import { messageOf } from '../base/error.ts'
import { limits, waits } from '../base/limit.ts'
import { printable } from '../base/log.ts'
import { assertNever } from '../base/never.ts'
import type { ListenerConfig, Service } from '../config/config.ts'
import type { KnownChanges } from '../map/state/override-reader.ts'
import type { Connection } from '../net/connection.ts'
import { useDirectSockets } from '../net/direct/direct-sockets.ts'
import { foreignFunctions } from '../storage/foreign-functions.ts'
import { AcceptShare } from './accept-share.ts'
import { busyAnswer, type NoRoom } from './busy-answer.ts'
import { raiseBarrier } from './barrier.ts'
import type { Ask, Drain, FreezeAck, PrepareReply, Replies } from './channel.ts'
import { clientOf, peerOf } from './client-address.ts'
import { CounterTable } from './counters.ts'
import { isTrusted } from './login/client-knowledge.ts'
import {
  boundDescriptors,
  isShortOfDescriptors,
  isSoonShortOfDescriptors,
} from '../net/descriptors.ts'
import { ListenerSet } from './listener-set.ts'
import { type LogWriter, openLog } from './log-writer.ts'
import { watchLoop } from './loop-watch.ts'
import { NextGeneration } from './next-generation.ts'
import { acceptProxied } from './proxy-accept.ts'
import type { FreezeNotice } from './freezes.ts'
import type { Session, StartSession } from './runtime.ts'
import { endSessions, listSessions, pageOf } from './session-list.ts'
import { openFileLimit } from './session-share.ts'
import { type Settings, servicesOf } from './settings.ts'
import { giveBackMemory } from './spare-memory.ts'
import { type Supervised, serveSupervisor, tell } from './supervised.ts'
import { WorkerRuntime } from './worker-runtime.ts'

/** Loads the front end of a service when it is first listened for. */
export type FrontEnds = Readonly<Record<Service, () => Promise<StartSession>>>

/** In the environment of a daemon whose connections are to be Node's sockets, all of them. */
const nodeSockets = 'MAILMUX_NODE_SOCKETS'
/** The longest that sessions may go on in a worker that met a fault of ours. */
const failingDrainMs = 30_000
const stackChars = 1000
/** Of those who find no room, so many at once are told why. */
const mostLeaving = 32

/** Runs this process as worker number `number` until it is told to stop. */
export function runWorker(number: number, frontEnds: FrontEnds): void {
  const calls = process.env[nodeSockets] === undefined ? foreignFunctions() : undefined
  if (calls !== undefined) useDirectSockets(calls)
  serveSupervisor(new Worker(number, frontEnds))
}

class Worker implements Supervised {
  readonly #frontEnds: FrontEnds
  readonly #logWriter: LogWriter
  readonly #runtime: WorkerRuntime
  readonly #next: NextGeneration
  readonly #listeners: ListenerSet
  readonly #share: AcceptShare
  readonly #starters = new Map<Service, StartSession>()
  #failing = false
  /** Connections whose proxy has not yet said whose they are. */
  #unnamed = 0
  #naming: PromiseWithResolvers<void> | undefined
  /** So many sessions have needed nearly all descriptors. */
  #carriedSessions = Number.POSITIVE_INFINITY
  /** Clients that are being told that there is no room for them. */
  #leaving = 0

  constructor(number: number, frontEnds: FrontEnds) {
    const counters = new CounterTable()
    this.#frontEnds = frontEnds
    this.#logWriter = openLog({ worker: number, counters })
    this.#runtime = new WorkerRuntime(number, counters, this.#logWriter)
    this.#next = new NextGeneration(this.#runtime.log)
    watchLoop(counters)
    giveBackMemory()
    this.#listeners = new ListenerSet((socket, listener) => this.#accept(socket, listener))
    this.#share = new AcceptShare({
      listeners: this.#listeners,
      room: this.#runtime.room,
      free: () => this.#carried - this.#taken,
      limit: () => this.#carried,
      onFault: (error) =>
        this.#runtime.log('internal', { reason: 'listen', detail: messageOf(error) }),
    })
    this.#runtime.onLeft = () => this.#share.left()
  }

  /** How many clients have a place. */
  get #taken(): number {
    return this.#runtime.sessionCount + this.#unnamed
  }

  /** How many may have one, as long as others have places, too. */
  get #carried(): number {
    return Math.min(this.#runtime.sessionLimit, this.#carriedSessions)
  }

  async perform(ask: Ask): Promise<Replies[Ask['do']]> {
    switch (ask.do) {
      case 'prepare':
        this.#runtime.joinBoards(ask.board)
        for (const notice of ask.freezes) this.#runtime.freezes.add(notice)
        return this.#prepare(ask.settings, ask.changes)
      case 'commit':
        this.#commit()
        return null
      case 'abort':
        this.#abort()
        return null
      case 'report':
        return this.#runtime.report()
      case 'who':
        return pageOf(listSessions(this.#runtime.sessions, ask), ask.limit)
      case 'kick':
        return endSessions(this.#runtime.sessions, ask.filter)
      case 'freeze':
        return this.#freeze(ask.notice)
      case 'thaw':
        this.#runtime.freezes.thaw(ask.user, ask.epoch)
        return null
      case 'stop':
        return this.#stop(ask)
      case 'spool-usage':
        this.#runtime.spoolUsage = ask.usage
        return null
      case 'spooled':
      case 'look':
      case 'backend-up':
      case 'queue':
        throw new Error(`a worker has no ${ask.do}`)
      default:
        return assertNever(ask)
    }
  }

  async #prepare(settings: Settings, known: KnownChanges): Promise<PrepareReply> {
    this.#abort()
    boundDescriptors(await openFileLimit())
    return this.#next.prepare(settings, known, async () => {
      for (const service of servicesOf(settings)) {
        if (!this.#starters.has(service)) {
          this.#starters.set(service, await this.#frontEnds[service]())
        }
      }
      await this.#listeners.prepare(settings.listeners)
    })
  }

  #commit(): void {
    const next = this.#next.take()
    if (next === undefined) return
    const { settings, generation } = next
    this.#runtime.replaceGeneration(generation, settings)
    this.#listeners.commit()
    this.#share.begin()
    for (const service of servicesOf(settings))
      this.#starters.get(service)?.renewed?.(this.#runtime)
  }

  #abort(): void {
    this.#next.giveUp()
    this.#listeners.abort()
  }

  #accept(socket: Connection, listener: ListenerConfig): void {
    if (this.#runtime.draining) {
      socket.destroy()
      return
    }
    const isFull = this.#taken >= this.#runtime.sessionLimit
    const isNarrow = isSoonShortOfDescriptors(socket, limits.reservedDescriptors)
    if (isFull || isShortOfDescriptors(socket, limits.reservedDescriptors)) {
      this.#refuse(socket, listener, 'conn_limit')
    } else if (listener.hasProxyHeader) this.#acceptProxied(socket, listener)
    else this.#start(socket, listener)
    this.#carriedSessions = isNarrow ? this.#taken : Number.POSITIVE_INFINITY
    this.#share.entered()
  }

  #start(socket: Connection, listener: ListenerConfig): void {
    const { service } = listener
    const address = clientOf(socket)?.client.address ?? ''
    const reason = this.#runtime.admit(service, address, () => {
      this.#starters.get(service)?.(socket, listener, this.#runtime)
    })
    if (reason !== undefined) this.#refuse(socket, listener, reason)
  }

  /** Nobody but a proxy that is trusted is let in, and that only with a word on its client. */
  #acceptProxied(socket: Connection, listener: ListenerConfig): void {
    const { config } = this.#runtime.current
    const peer = peerOf(socket)
    const refuse = (): void => {
      this.#runtime.refuse(listener.service, peer, 'proxy_hdr')
      socket.destroy()
    }
    if (!isTrusted(config, socket.remoteAddress ?? '')) return refuse()
    this.#unnamed++
    acceptProxied(socket, (outcome) => {
      this.#unnamed--
      if (this.#unnamed === 0) this.#naming?.resolve()
      if (outcome === 'refused') refuse()
      else if (outcome === 'gone' || this.#runtime.draining) socket.destroy()
      else this.#start(socket, listener)
    })
  }

  /** Returns when no proxy has to say any more whose connection it passed on. */
  async #allNamed(): Promise<void> {
    if (this.#unnamed === 0) return
    // Once for all who ask: nobody comes in any more.
    this.#naming ??= Promise.withResolvers()
    await this.#naming.promise
  }

  #refuse(socket: Connection, listener: ListenerConfig, reason: NoRoom): void {
    this.#runtime.refuse(listener.service, peerOf(socket), reason)
    // Words before a TLS handshake would not be understood, and handshakes are what we lack room for.
    // Who waits for words has a descriptor: of those that are kept for other things.
    const isCrowd = this.#leaving >= mostLeaving
    const isShort = isShortOfDescriptors(socket, limits.wordlessDescriptors)
    if (listener.tls === 'implicit' || isCrowd || isShort) {
      socket.destroy()
      return
    }
    this.#leaving++
    const timer = setTimeout(() => socket.destroy(), waits.closeMs)
    socket.once('close', () => {
      clearTimeout(timer)
      this.#leaving--
    })
    socket.end(busyAnswer(listener.service, this.#runtime.current.config.hostname, reason))
    // A client that goes on talking must not keep the socket: what it says is not read.
    socket.pause()
  }

  #freeze(notice: FreezeNotice): Promise<FreezeAck> {
    const all = [...this.#runtime.sessions]
    const sessions = all.filter((session) => !isMail(session))
    const freeze = this.#runtime.freezes.add(notice)
    return raiseBarrier(freeze, { sessions, deliveries: all.filter(isMail) })
  }

  async #stop(drain: Drain): Promise<{ drained: boolean }> {
    this.#share.end()
    this.#listeners.close()
    if (drain.graceMs !== undefined) await this.#allNamed()
    const drained = await this.#runtime.drain(drain)
    await this.#logWriter.finish()
    tell({ kind: 'report', report: this.#runtime.report() })
    return { drained }
  }

  /** A fault of ours: nothing new is taken, what runs may end, then the process is replaced. */
  fail(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#runtime.log('internal', { reason: 'exception', detail: printable(text, stackChars) })
    // A second one while ending: no state can be trusted any more.
    if (this.#failing) process.exit(1)
    this.#failing = true
    this.#listeners.close()
    tell({ kind: 'failing' })
    void this.#exitDrained()
  }

  async #exitDrained(): Promise<void> {
    await this.#runtime.drain({ drainMs: this.#failingDrainMs() })
    await this.#logWriter.finish()
    process.exit(1)
  }

  #failingDrainMs(): number {
    if (this.#runtime.sessionCount === 0) return 0
    return Math.min(this.#runtime.current.config.limits.drainTimeoutMs, failingDrainMs)
  }

  flush(): void {
    this.#logWriter.flush()
  }
}

function isMail({ service }: Session): boolean {
  return service === 'smtp' || service === 'lmtp'
}
