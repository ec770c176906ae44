/**
 * A small HTTP server for programs that watch the daemon. It answers GET and HEAD on a few paths,
 * bounds what a client may send and how long it may take, and ends for nothing that a client does.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { messageOf } from '../../base/error.ts'
import type { MetricsListener } from '../../config/config.ts'
import { listenFailed } from '../../net/listener.ts'
import { formatAddress } from '../settings.ts'

export interface Page {
  readonly status: number
  readonly type: string
  readonly text: string
}

/** Makes a page for who takes `accept`, the header of the request. */
export type MakePage = (accept: string) => Page | Promise<Page>

/** Pages by path. */
export type Pages = Readonly<Record<string, MakePage>>

const connectionLimit = 64
const headerBytes = 8_192
const headersMs = 5_000
const requestMs = 10_000
const idleMs = 10_000

export interface HttpListener {
  /** `127.0.0.1:9125`, with the real port. */
  readonly address: string
  close(): void
}

/** Throws LISTEN_FAILED. */
export function openHttp(at: MetricsListener, pages: Pages): Promise<HttpListener> {
  const server = createServer(
    {
      maxHeaderSize: headerBytes,
      headersTimeout: headersMs,
      requestTimeout: requestMs,
      keepAliveTimeout: idleMs,
      connectionsCheckingInterval: 1_000,
      noDelay: true,
    },
    (request, response) => void answer(request, response, pages),
  )
  server.maxConnections = connectionLimit
  // A client that connects and says nothing is not waited for by the timeouts above.
  server.timeout = requestMs
  server.on('clientError', refuse)
  return listen(server, at)
}

function listen(server: Server, at: MetricsListener): Promise<HttpListener> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(listenFailed(at.host, at.port, error)))
    server.listen(at.port, at.host, () => {
      server.removeAllListeners('error').on('error', () => undefined)
      const bound = server.address()
      const port = bound !== null && typeof bound === 'object' ? bound.port : at.port
      resolve({
        address: formatAddress({ host: at.host, port }),
        close() {
          server.close()
          server.closeAllConnections()
        },
      })
    })
  })
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  pages: Pages,
): Promise<void> {
  response.on('error', () => undefined)
  const page = await pageFor(request, pages)
  // No page is worth reading a body for: what a client sends is not waited for.
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD').setHeader('Connection', 'close')
  }
  response.writeHead(page.status, {
    'Content-Type': page.type,
    'Content-Length': Buffer.byteLength(page.text),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  })
  response.end(request.method === 'HEAD' ? '' : page.text)
}

async function pageFor(
  { method, url = '', headers }: IncomingMessage,
  pages: Pages,
): Promise<Page> {
  const path = url.split('?', 1)[0] ?? ''
  const make = Object.hasOwn(pages, path) ? pages[path] : undefined
  if (make === undefined) return plain(404, `known here: ${Object.keys(pages).join(', ')}\n`)
  if (method !== 'GET' && method !== 'HEAD') return plain(405, 'GET or HEAD\n')
  try {
    return await make(headers.accept ?? '')
  } catch (error) {
    return plain(500, `${messageOf(error)}\n`)
  }
}

export function plain(status: number, text: string): Page {
  return { status, type: 'text/plain; charset=utf-8', text }
}

function refuse(_error: Error, socket: Socket): void {
  if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
  socket.destroySoon()
}
