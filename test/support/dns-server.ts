/** A name server on a loopback port that knows a few names, and says of all others that there are none. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'

export interface DnsRecord {
  readonly type: 'A' | 'PTR'
  readonly values: readonly string[]
}

export interface DnsServer extends AsyncDisposable {
  readonly port: number
}

const typeNumbers = { A: 1, PTR: 12 } as const

/** `silent`: it answers nothing at all. */
export async function startDns(
  records: Readonly<Record<string, DnsRecord>>,
  silent = false,
): Promise<DnsServer> {
  const socket = createSocket('udp4')
  socket.on('message', (question, { port, address }) => {
    if (!silent) socket.send(answerTo(question, records), port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return {
    port: socket.address().port,
    [Symbol.asyncDispose]: async () => {
      socket.close()
      await once(socket, 'close')
    },
  }
}

/** RFC 1035 section 4. */
function answerTo(question: Buffer, records: Readonly<Record<string, DnsRecord>>): Buffer {
  const labels: string[] = []
  let at = 12
  for (let length = question[at] ?? 0; length > 0; length = question[at] ?? 0) {
    labels.push(question.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  const asked = question.subarray(12, at + 5)
  const found = records[labels.join('.').toLowerCase()]
  const isThere = found !== undefined && typeNumbers[found.type] === question.readUInt16BE(at + 1)
  const values = isThere ? found.values.map((value) => recordOf(found.type, value)) : []
  const head = Buffer.alloc(12)
  question.copy(head, 0, 0, 2)
  head.writeUInt16BE(found === undefined ? 0x8183 : 0x8180, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(values.length, 6)
  return Buffer.concat([head, asked, ...values])
}

function recordOf(type: DnsRecord['type'], value: string): Buffer {
  const data = type === 'A' ? Buffer.from(value.split('.').map(Number)) : nameOf(value)
  const fixed = Buffer.from([0xc0, 12, 0, typeNumbers[type], 0, 1, 0, 0, 0, 60, 0, data.length])
  return Buffer.concat([fixed, data])
}

function nameOf(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.from(label, 'latin1'))
  return Buffer.concat([
    ...labels.flatMap((label) => [Buffer.of(label.length), label]),
    Buffer.of(0),
  ])
}
