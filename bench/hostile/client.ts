/** Raw clients, thousands of them: each from an address that has not too many of them. */
import { connect, type Socket } from 'node:net'

const addresses = 200
/** So many are on their way at once; the queue of a listener is not endless. */
const atOnce = 100

export interface Client {
  readonly socket: Socket
  /** All that was heard. */
  text: string
  /** When it was connected, and when it was closed; monotonic milliseconds. */
  readonly openedAt: number
  closedAt: number | undefined
}

let number = 0

function nextAddress(): string {
  return `127.3.0.${1 + (number++ % addresses)}`
}

/** Connects and reads what comes first. */
export function open(port: number, localAddress = nextAddress()): Promise<Client> {
  const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true })
  const client: Client = { socket, text: '', openedAt: performance.now(), closedAt: undefined }
  return new Promise((resolve, reject) => {
    socket.on('data', (chunk) => {
      client.text += chunk.toString('latin1')
      resolve(client)
    })
    socket.on('error', reject)
    socket.on('close', () => {
      client.closedAt = performance.now()
      reject(new Error('closed at once'))
    })
  })
}

export async function openMany(port: number, count: number): Promise<Client[]> {
  const clients: Client[] = []
  let left = count
  const work = async (): Promise<void> => {
    while (left-- > 0) clients.push(await open(port))
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return clients
}

export function isOpen({ closedAt }: Client): boolean {
  return closedAt === undefined
}

/** Waits until one of what it hears matches; false where it is closed before. */
export function heard(client: Client, pattern: RegExp): Promise<boolean> {
  const { socket } = client
  return new Promise((resolve) => {
    const look = (): void => {
      const isThere = pattern.test(client.text)
      if (!isThere && isOpen(client)) return
      socket.off('data', look).off('close', look)
      resolve(isThere)
    }
    // After the listeners that write down what it hears.
    socket.on('data', look).on('close', look)
    look()
  })
}

export function close(clients: readonly Client[]): void {
  for (const { socket } of clients) socket.destroy()
}
