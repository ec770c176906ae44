/**
 * The daemon's end of the control socket. A client that sends anything but a request is told so and
 * cut off; nothing that a client does ends the daemon.
 */
import { unlink } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { MailmuxError, messageOf } from '../base/error.ts'
import { FrameReader } from './frame-reader.ts'
import type { JsonOf } from './json-of.ts'
import {
  type Answer,
  type Answers,
  controlVersion,
  type Details,
  formatFrame,
  parseRequest,
  type Refusal,
  requestBytes,
  type Verb,
} from './messages.ts'
import { controlPath } from './path.ts'

export type Handlers = {
  readonly [V in Verb]: (details: Details[V]) => Promise<Answers[V] | JsonOf<Answers[V]>>
}

/** Administrators and their scripts; more at once is a fault somewhere. */
const connectionLimit = 64
const idleMs = 10_000

/**
 * Answers requests until disposed of. The caller holds the lock of `runDir`, so a socket that is
 * there belongs to nobody. Throws RUN_DIR_UNUSABLE where no socket can be made.
 */
export async function openControl(runDir: string, handlers: Handlers): Promise<AsyncDisposable> {
  const path = controlPath(runDir)
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    serveClient(socket, handlers)
  })
  server.maxConnections = connectionLimit
  try {
    await removeOld(path)
    await listen(server, path)
  } catch (error) {
    const why = isTooLong(error, path) ? 'the path is too long for a socket' : messageOf(error)
    throw new MailmuxError('RUN_DIR_UNUSABLE', `${path}: ${why}`, { cause: error })
  }
  return {
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => {
        server.close(resolve)
      })
    },
  }
}

async function removeOld(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    // The name is created by the call itself: at no moment may others connect.
    const umask = process.umask(0o177)
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
    process.umask(umask)
  })
}

/** Linux has room for 107 bytes (sockaddr_un). */
function isTooLong(error: unknown, path: string): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENAMETOOLONG' || (code === 'EINVAL' && path.length > 100)
}

function serveClient(socket: Socket, handlers: Handlers): void {
  const reader = new FrameReader(requestBytes)
  socket.setTimeout(idleMs, () => socket.destroy())
  // A client that went away has nothing to be told.
  socket.on('error', () => socket.destroy())
  const waiting: string[] = []
  let busy = false
  const serveNext = async (): Promise<void> => {
    if (busy) return
    busy = true
    // Work may take longer than a client may be idle.
    socket.setTimeout(0)
    for (let text = waiting.shift(); text !== undefined; text = waiting.shift()) {
      const { answer, isFault } = await answerTo(text, handlers)
      if (socket.writable) socket.write(formatFrame(answer))
      if (isFault) {
        waiting.length = 0
        socket.end()
      }
    }
    socket.setTimeout(idleMs)
    socket.resume()
    busy = false
  }
  socket.on('data', (chunk: Buffer) => {
    for (const event of reader.push(chunk)) {
      if (event.kind === 'frame') waiting.push(event.text)
      else socket.end(formatFrame(failed('BAD_FRAME', 'the request is too long')))
    }
    if (waiting.length === 0) return
    // One request at a time; what else the client sends waits in its own buffers.
    socket.pause()
    void serveNext()
  })
}

async function answerTo(
  text: string,
  handlers: Handlers,
): Promise<{ answer: Answer; isFault: boolean }> {
  const parsed = parseRequest(text)
  if ('refused' in parsed) {
    return { answer: { v: controlVersion, error: parsed.refused }, isFault: true }
  }
  try {
    const { do: verb, with: details } = parsed.request
    const handle = handlers[verb] as (details: unknown) => Promise<unknown>
    const result = await handle(details)
    return { answer: { v: controlVersion, result }, isFault: false }
  } catch (error) {
    return { answer: { v: controlVersion, error: refusalOf(error) }, isFault: false }
  }
}

function failed(code: string, message: string): Answer {
  return { v: controlVersion, error: { code, message, problems: [] } }
}

function refusalOf(error: unknown): Refusal {
  if (!(error instanceof MailmuxError)) {
    return { code: 'INTERNAL', message: messageOf(error), problems: [] }
  }
  const lines = error.located.split('\n')
  return { code: error.code, message: lines.at(-1) ?? '', problems: lines.slice(0, -1) }
}
