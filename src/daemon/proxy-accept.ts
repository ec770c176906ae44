/**
 * Takes the header by which a proxy says whose connection it passes on, before anybody speaks. A
 * connection without one is nobody's.
 */
import { waits } from '../base/limit.ts'
import type { Connection } from '../net/connection.ts'
import { type ProxyHeader, ProxyHeaderReader } from '../protocol/proxy-header.ts'
import { clientOf, nameClient } from './client-address.ts'

/** `gone`: it left without a word, as those do that only look whether the port is open. */
export type ProxyOutcome = 'accepted' | 'refused' | 'gone'

/** Answers once. What follows the header is left in the socket, which is paused. */
export function acceptProxied(socket: Connection, done: (outcome: ProxyOutcome) => void): void {
  const reader = new ProxyHeaderReader()
  let hasSpoken = false
  const finish = (outcome: ProxyOutcome): void => {
    clearTimeout(timer)
    socket.off('data', onData).off('end', onClose).off('close', onClose)
    done(outcome)
  }
  const onData = (chunk: Buffer): void => {
    hasSpoken = true
    const read = reader.push(chunk)
    if (read === undefined) return
    if (read.kind === 'fault') return finish('refused')
    socket.pause()
    if (read.rest.length > 0) socket.unshift(read.rest)
    takeHeader(socket, read.header)
    finish('accepted')
  }
  const onClose = (): void => finish(hasSpoken ? 'refused' : 'gone')
  const timer = setTimeout(() => finish('refused'), waits.proxyHeaderMs)
  socket.on('data', onData).on('end', onClose).on('close', onClose)
  socket.resume()
}

function takeHeader(socket: Connection, header: ProxyHeader): void {
  if (header.kind === 'proxied') {
    nameClient(socket, { client: header.source, server: header.destination, isCheck: false })
    return
  }
  const own = clientOf(socket)
  if (own !== undefined) nameClient(socket, { ...own, isCheck: header.kind === 'local' })
}
