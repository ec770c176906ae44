/** A server of LDAP that answers searches with the pages that it was given. RFC 4511, RFC 2696. */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'

/** Names of users `NAME@example.com` at fritz, or a reference to another server. */
export type Page = readonly (string | Buffer | { readonly refersTo: string })[]

/** Tag, length, contents. */
function ber(tag: number, ...parts: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)))
  const length =
    body.length < 128
      ? Buffer.from([body.length])
      : Buffer.from([0x82, body.length >> 8, body.length & 0xff])
  return Buffer.concat([Buffer.from([tag]), length, body])
}

const integer = (value: number): Buffer => ber(0x02, Buffer.from([value]))

function attribute(name: string, value: Buffer | string): Buffer {
  return ber(0x30, ber(0x04, name), ber(0x31, ber(0x04, value)))
}

function answerTo(id: number, item: Page[number]): Buffer {
  if (typeof item === 'object' && 'refersTo' in item) {
    return ber(0x30, integer(id), ber(0x73, ber(0x04, item.refersTo)))
  }
  const mail = Buffer.concat([Buffer.from(item as string), Buffer.from('@example.com')])
  const attributes = ber(0x30, attribute('mail', mail), attribute('l', 'fritz'))
  return ber(0x30, integer(id), ber(0x64, ber(0x04, 'cn=one,o=x'), attributes))
}

function done(id: number, cookie: string): Buffer {
  const result = ber(0x65, ber(0x0a, Buffer.from([0])), ber(0x04), ber(0x04))
  const value = ber(0x30, integer(0), ber(0x04, cookie))
  const control = ber(0x30, ber(0x04, '1.2.840.113556.1.4.319'), ber(0x04, value))
  return ber(0x30, integer(id), result, ber(0xa0, control))
}

/** The first search gets `pages`, one to a request; the next one `counted`. */
export async function pagedLdapServer(
  pages: readonly Page[],
  counted: readonly Page[],
): Promise<AsyncDisposable & { readonly port: number }> {
  const left = [pages, counted].flatMap((search) =>
    search.map((page, index) => ({ page, cookie: index < search.length - 1 ? 'more' : '' })),
  )
  const firstOfCounted = left.length - counted.length
  const sockets = new Set<Socket>()
  let next = 0
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', (request: Buffer) => {
      // A short message of one packet: 30 LL 02 01 ID, and what is asked.
      const [, , , , id = 0] = request
      if (request.includes('1.1') && next < firstOfCounted) next = firstOfCounted
      const { page = [], cookie = '' } = left[next++] ?? {}
      socket.write(Buffer.concat([...page.map((item) => answerTo(id, item)), done(id, cookie)]))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
