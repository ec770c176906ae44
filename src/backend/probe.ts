/** Looks whether a back-end answers on one of its ports, and what it offers before login. */
import { limits } from '../base/limit.ts'
import { printable } from '../base/log.ts'
import type { BackendProtocol, ClientPassing, Endpoint } from '../config/config.ts'
import type { Connection } from '../net/connection.ts'
import { type DialResult, dial, type Trust, upgrade } from '../net/dial.ts'
import { certificateOf, type PeerCertificate } from '../net/peer-certificate.ts'
import { prefaceFor } from './passed-client.ts'
import { type ProbeDialogue, type ProbeLine, probeDialogue, saslNames } from '../protocol/probe.ts'

export interface ProbeReport {
  readonly backend: string
  readonly protocol: BackendProtocol
  readonly address: string
  readonly tls: Endpoint['tls']
  readonly ok: boolean
  /** From dialling to the last answer; milliseconds. */
  readonly ms: number
  readonly greeting?: string
  readonly capabilities?: readonly string[]
  /** SASL mechanisms among them, in capitals. */
  readonly mechanisms?: readonly string[]
  readonly certificate?: PeerCertificate
  readonly problem?: string
}

export interface ProbePlan {
  readonly backend: string
  readonly protocol: BackendProtocol
  readonly endpoint: Endpoint
  readonly trust: Trust | undefined
  readonly hostname: string
  readonly clientAddress: ClientPassing
  readonly timeoutMs: number
}

type SeenKey = 'greeting' | 'capabilities' | 'mechanisms' | 'certificate'
type Seen = { -readonly [Key in SeenKey]?: ProbeReport[Key] }

const linesLimit = 200
const bytesLimit = 65_536

/** Never throws: what is wrong is in the report. */
export async function probeBackend(plan: ProbePlan): Promise<ProbeReport> {
  const { backend, protocol, endpoint } = plan
  const startedAt = performance.now()
  const seen: Seen = {}
  let problem: string | undefined
  let line: ProbeConnection | undefined
  try {
    line = new ProbeConnection(await dialled(plan), plan.timeoutMs)
    await converse(line, plan, seen)
  } catch (error) {
    problem = printable((error as Error).message)
  } finally {
    line?.destroy()
  }
  return {
    backend,
    protocol,
    address: `${endpoint.host}:${endpoint.port}`,
    tls: endpoint.tls,
    ok: problem === undefined,
    ms: Math.round(performance.now() - startedAt),
    ...seen,
    ...(problem === undefined ? {} : { problem }),
  }
}

function dialled({ endpoint, trust, timeoutMs, clientAddress }: ProbePlan): Promise<Connection> {
  const preface = prefaceFor({ clientAddress, client: undefined })
  return connected((done) => dial({ endpoint, trust, timeoutMs, preface }, done))
}

function connected(start: (done: (result: DialResult) => void) => unknown): Promise<Connection> {
  return new Promise((resolve, reject) => {
    start((result) => {
      if (result.ok) resolve(result.socket)
      else reject(new Error(`${result.failure.step}: ${result.failure.detail}`))
    })
  })
}

async function converse(line: ProbeConnection, plan: ProbePlan, seen: Seen): Promise<void> {
  const { endpoint, trust, timeoutMs } = plan
  const dialogue = probeDialogue(plan.protocol, plan.hostname)
  const greeting = await line.answer('greeting', (text) => dialogue.greeting(text))
  seen.greeting = printable(greeting[0] ?? '')
  let offered =
    dialogue.hello === undefined ? offersIn(greeting, dialogue) : await hello(line, dialogue)
  if (endpoint.tls === 'starttls') {
    if (trust === undefined) throw new Error('no authorities to verify it by')
    line.send(dialogue.startTls)
    await line.answer('STARTTLS', (text) => dialogue.startedTls(text))
    await line.secure((socket) => connected((done) => upgrade({ socket, trust, timeoutMs }, done)))
    offered = await hello(line, dialogue)
  }
  seen.capabilities = offered
  seen.mechanisms = saslNames(plan.protocol, offered)
  const certificate = certificateOf(line.socket)
  if (certificate !== undefined) seen.certificate = certificate
  line.send(dialogue.quit)
}

async function hello(line: ProbeConnection, dialogue: ProbeDialogue): Promise<string[]> {
  if (dialogue.hello !== undefined) line.send(dialogue.hello)
  return offersIn(await line.answer('capabilities', (text) => dialogue.offered(text)), dialogue)
}

function offersIn(lines: readonly string[], dialogue: ProbeDialogue): string[] {
  return lines
    .flatMap((text) => dialogue.capabilities(text))
    .map((text) => printable(text, limits.replyLineBytes))
}

/** Lines of a connection, with one bound for all of them. */
class ProbeConnection {
  socket: Connection
  readonly #deadline: number
  #text = ''
  #wake: () => void = () => undefined
  #isOver = false

  constructor(socket: Connection, timeoutMs: number) {
    this.socket = socket
    this.#deadline = performance.now() + timeoutMs
    this.#listen()
  }

  #listen(): void {
    this.socket.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString('latin1')
      if (this.#text.length > bytesLimit) this.destroy()
      this.#wake()
    })
    this.socket.on('close', () => this.#finish()).on('end', () => this.#finish())
    this.socket.resume()
  }

  #finish(): void {
    this.#isOver = true
    this.#wake()
  }

  send(text: string): void {
    this.socket.write(`${text}\r\n`)
  }

  /** The lines of one answer. Throws where it is a refusal or does not come. */
  async answer(what: string, verdict: (line: string) => ProbeLine): Promise<string[]> {
    const lines: string[] = []
    while (lines.length < linesLimit) {
      const line = await this.#line(what)
      lines.push(line)
      const found = verdict(line)
      if (found === 'done') return lines
      if (found === 'refused') throw new Error(`${what}: ${line}`)
    }
    throw new Error(`${what}: more than ${linesLimit} lines`)
  }

  async #line(what: string): Promise<string> {
    for (;;) {
      const end = this.#text.indexOf('\n')
      if (end !== -1) {
        const line = this.#text.slice(0, end).replace(/\r$/, '')
        this.#text = this.#text.slice(end + 1)
        return line
      }
      if (this.#isOver) throw new Error(`${what}: the connection was closed`)
      await this.#more(what)
    }
  }

  async #more(what: string): Promise<void> {
    const leftMs = Math.max(0, this.#deadline - performance.now())
    const { promise, resolve, reject } = Promise.withResolvers<undefined>()
    const timer = setTimeout(() => reject(new Error(`${what}: no answer in time`)), leftMs)
    this.#wake = () => resolve(undefined)
    await promise.finally(() => clearTimeout(timer))
  }

  /** Puts TLS over the connection. Throws where bytes came ahead of it, or it fails. */
  async secure(start: (socket: Connection) => Promise<Connection>): Promise<void> {
    if (this.#text !== '') throw new Error('STARTTLS: it said more before the handshake')
    this.socket.removeAllListeners('data').removeAllListeners('close').removeAllListeners('end')
    this.socket = await start(this.socket)
    this.#listen()
  }

  destroy(): void {
    this.socket.destroy()
  }
}
