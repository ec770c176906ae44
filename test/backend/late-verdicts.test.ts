import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { LateVerdicts } from '../../src/backend/late-verdicts.ts'
import type { SmtpUser } from '../../src/backend/smtp-user.ts'
import { SmtpBackEnd } from '../../src/protocol/smtp/back-end.ts'

const nothing = (): void => undefined
const user: SmtpUser = {
  connectionReady: nothing,
  recipientAnswered: nothing,
  dataAnswered: nothing,
  messageAnswered: nothing,
  connectionFailed: nothing,
  drained: nothing,
  settled: nothing,
}

test('no more than a hundred back-ends are listened to, and one that hangs up makes room', () => {
  const late = new LateVerdicts()
  const sockets: Socket[] = []
  const listen = (): boolean => {
    const machine = new SmtpBackEnd({
      protocol: 'smtp',
      hostname: 'mx.example.com',
      startTls: false,
      client: undefined,
    })
    const socket = new Socket()
    sockets.push(socket)
    return late.listen({ socket, machine, user, waitedMs: 1 }) !== undefined
  }
  for (let count = 0; count < 100; count++) assert.ok(listen())
  assert.equal(listen(), false)
  sockets[0]?.emit('end')
  assert.ok(listen())
  assert.equal(listen(), false)
  late.close()
  assert.ok(listen())
  late.close()
})
