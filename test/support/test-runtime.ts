/**
 * What a session needs of its worker, for tests: a config from YAML text, a map that is a table, a
 * log and counters that remember, sessions that can be waited for.
 */
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import type { SecureContext } from 'node:tls'
import type { EventFields, EventName, Log } from '../../src/base/log.ts'
import type { Config } from '../../src/config/config.ts'
import { parseConfig } from '../../src/config/parse.ts'
import type { AdminLogins } from '../../src/daemon/admin-logins.ts'
import { openBoards } from '../../src/daemon/admission/boards.ts'
import { LoginBrakes } from '../../src/daemon/admission/login-brakes.ts'
import { FreezeTable } from '../../src/daemon/freezes.ts'
import type { LoginVerifier } from '../../src/daemon/login/login-verifier.ts'
import { LoginTurns } from '../../src/daemon/login/login-turns.ts'
import type { Counters, Generation, Runtime, Session } from '../../src/daemon/runtime.ts'
import type { Address } from '../../src/mail/address.ts'
import type { Direction, Resolution } from '../../src/mail/route.ts'
import type { MapReader } from '../../src/map/open.ts'
import type { UidlOwner } from '../../src/map/state/uidl-store.ts'
import type { UidlTable } from '../../src/map/state/uidl-table.ts'
import type { ServerTls } from '../../src/net/tls.ts'
import type { SpoolWriter } from '../../src/spool/spooled-message.ts'

export type RecordedEvent = {
  [Name in EventName]: { readonly name: Name; readonly fields: EventFields[Name] }
}[EventName]

/** Answers by canonical user; who is not in the table is `unknown`, or `foreign` elsewhere. */
export class TableMap implements MapReader {
  readonly generation: number
  readonly lastGeneration = 1
  readonly base = 1
  readonly asked: { readonly direction: Direction; readonly address: Address }[] = []
  closed = false
  readonly #table: ReadonlyMap<string, Resolution>
  readonly #domains: ReadonlySet<string>

  constructor(table: Readonly<Record<string, Resolution>>, domains: ReadonlySet<string>) {
    this.generation = 1
    this.#table = new Map(Object.entries(table))
    this.#domains = domains
  }

  resolve(direction: Direction, address: Address): Resolution {
    this.asked.push({ direction, address })
    if (!this.#domains.has(address.domain)) return { result: 'foreign' }
    return this.#table.get(address.key) ?? { result: 'unknown', user: address.key }
  }

  resolveFinal(address: Address): Resolution {
    return this.resolve('delivery', address)
  }

  /** What `uidls` does. */
  findUidls: MapReader['uidls'] = () => undefined

  uidls(owner: UidlOwner): UidlTable | undefined {
    return this.findUidls(owner)
  }

  close(): void {
    this.closed = true
  }
}

/** A route to one back-end; the name to log in with there is the canonical user. */
export function routeTo(backend: string, user: string, login = user): Resolution {
  return { result: 'route', user, destination: { address: user, backend, login } }
}

export class RecordedCounters implements Counters {
  readonly #counts = new Map<string, number>()

  count(name: string, labels = '', by = 1): void {
    const key = labels === '' ? name : `${name}{${labels}}`
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + by)
  }

  snapshot(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts)
  }
}

export interface TestRuntimeOptions {
  /** The text of mailmux.yaml. */
  readonly config: string
  readonly routes?: Readonly<Record<string, Resolution>>
  readonly serverTls?: ServerTls
  readonly backendTls?: ReadonlyMap<string, SecureContext>
  readonly verifier?: LoginVerifier | undefined
  readonly certified?: AdminLogins | undefined
}

export class TestRuntime implements Runtime {
  current: Generation & { readonly map: TableMap }
  readonly freezes = new FreezeTable(() => this.current)
  draining = false
  spool: SpoolWriter | undefined
  isCrowded = false
  readonly secret = Buffer.from('known to this test alone')
  readonly brakes = new LoginBrakes(openBoards(undefined), this.secret)
  readonly turns = new LoginTurns(this.brakes)
  /** How many messages and recipients more there may be. */
  messagesLeft = Number.POSITIVE_INFINITY
  recipientsLeft = Number.POSITIVE_INFINITY
  /** To whom each message was counted. */
  readonly senders: string[] = []
  readonly events: RecordedEvent[] = []
  readonly counters = new RecordedCounters()
  readonly sessions = new Set<Session>()
  readonly #changes = new EventEmitter()
  #nextId = 1

  constructor(options: TestRuntimeOptions) {
    const { config: text, routes = {}, serverTls, backendTls, verifier, certified } = options
    const config = parseTestConfig(text)
    this.current = {
      config,
      map: new TableMap(routes, config.naming.domains),
      serverTls,
      backendTls: backendTls ?? new Map(),
      verifier,
      certified,
    }
    this.brakes.use(config)
    this.#changes.setMaxListeners(0)
  }

  readonly log: Log = (name, fields) => {
    this.events.push({ name, fields } as RecordedEvent)
    this.#changes.emit('change')
  }

  /** The map changes. */
  replaceRoutes(routes: Readonly<Record<string, Resolution>>): void {
    const map = new TableMap(routes, this.current.config.naming.domains)
    this.current = { ...this.current, map }
  }

  enter(session: Session): () => void {
    assert(!this.sessions.has(session), 'a session is entered once')
    this.sessions.add(session)
    return () => {
      assert(this.sessions.delete(session), 'a session is left once')
      this.#changes.emit('change')
    }
  }

  reportBreakers(): void {}

  isMessageOver(address: string): boolean {
    this.senders.push(address)
    return this.messagesLeft-- <= 0
  }

  isRecipientOver(): boolean {
    return this.recipientsLeft-- <= 0
  }

  nextSessionId(): string {
    return `1-${this.#nextId++}`
  }

  /** The fields of every event of that name so far. */
  eventsOf<Name extends EventName>(name: Name): readonly EventFields[Name][] {
    return this.events.flatMap((event) =>
      event.name === name ? [event.fields as EventFields[Name]] : [],
    )
  }

  /** Waits until there have been `count` events of that name; returns the fields of the last. */
  async waitFor<Name extends EventName>(name: Name, count = 1): Promise<EventFields[Name]> {
    await this.#until(() => this.eventsOf(name).length >= count, `${count} events ${name}`)
    const found = this.eventsOf(name)[count - 1]
    assert(found !== undefined)
    return found
  }

  /** Waits until every session has ended. */
  async idle(): Promise<void> {
    await this.#until(() => this.sessions.size === 0, 'all sessions to end')
  }

  async #until(check: () => boolean, what: string): Promise<void> {
    const signal = AbortSignal.timeout(10_000)
    while (!check()) {
      await once(this.#changes, 'change', { signal }).catch((error: unknown) => {
        throw new Error(`timed out waiting for ${what}; events: ${JSON.stringify(this.events)}`, {
          cause: error,
        })
      })
    }
  }
}

/** Text of a config → config; its problems fail the test. */
export function parseTestConfig(text: string): Config {
  const parsed = parseConfig(text, '/etc/mailmux/mailmux.yaml')
  assert('config' in parsed, JSON.stringify('problems' in parsed ? parsed.problems : ''))
  return parsed.config
}
