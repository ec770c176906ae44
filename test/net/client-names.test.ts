import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { test } from 'node:test'
import { ClientNames, dnsQuery, type NameQuery } from '../../src/net/client-names.ts'
import { startDns } from '../support/dns-server.ts'

interface Asked {
  readonly query: NameQuery
  readonly questions: string[]
}

function answering(
  names: Readonly<Record<string, readonly string[]>>,
  addresses: Readonly<Record<string, readonly string[]>>,
): Asked {
  const questions: string[] = []
  const find = async (table: Readonly<Record<string, readonly string[]>>, key: string) => {
    questions.push(key)
    const found = table[key]
    if (found === undefined) throw new Error('ENOTFOUND')
    return found
  }
  const query = {
    reverse: (address: string) => find(names, address),
    resolve: (name: string) => find(addresses, name),
  }
  return { query, questions }
}

async function nameOf(names: ClientNames, address: string): Promise<string | undefined> {
  names.ask(address)
  await setImmediate()
  await setImmediate()
  return names.nameOf(address)
}

test('a name counts where it leads back to its address', async () => {
  const { query } = answering(
    {
      '192.0.2.1': ['Mail.Example.net.'],
      '192.0.2.2': ['forged.example.net'],
      '192.0.2.3': ['forged.example.net', 'mail.example.net'],
      '2001:db8::1': ['six.example.net'],
    },
    {
      'mail.example.net': ['192.0.2.1', '192.0.2.3'],
      'forged.example.net': ['198.51.100.1'],
      'six.example.net': ['2001:db8::1'],
    },
  )
  const names = new ClientNames(query)
  assert.equal(await nameOf(names, '192.0.2.1'), 'mail.example.net')
  assert.equal(await nameOf(names, '192.0.2.2'), undefined)
  assert.equal(await nameOf(names, '192.0.2.3'), 'mail.example.net')
  assert.equal(await nameOf(names, '192.0.2.9'), undefined)
  assert.equal(await nameOf(names, '2001:db8::1'), 'six.example.net')
})

test('what is no host name is no name, and is asked no further', async () => {
  const bad = [
    'a\r\nXCLIENT ADDR=1.2.3.4',
    '%s%n',
    'a b',
    '-a.example',
    `${'a.'.repeat(127)}example`,
    '',
  ]
  for (const name of bad) {
    const { query, questions } = answering({ '192.0.2.1': [name] }, { [name]: ['192.0.2.1'] })
    assert.equal(await nameOf(new ClientNames(query), '192.0.2.1'), undefined, name)
    assert.deepEqual(questions, ['192.0.2.1'])
  }
})

test('an address is asked about once in a while, and this host never', async () => {
  const { query, questions } = answering({}, {})
  let now = 0
  const names = new ClientNames(query, () => now)
  for (const address of ['127.0.0.1', '::1', '192.0.2.1', '192.0.2.1']) await nameOf(names, address)
  assert.deepEqual(questions, ['192.0.2.1'])
  now = 700_000
  await nameOf(names, '192.0.2.1')
  assert.equal(questions.length, 2)
})

test('a resolver that is silent gets a bounded number of questions, and the rest is not asked', () => {
  let asked = 0
  const names = new ClientNames({
    reverse: () => {
      asked++
      return new Promise(() => undefined)
    },
    resolve: async () => [],
  })
  for (let host = 0; host < 1000; host++) names.ask(`10.0.${host >> 8}.${host & 255}`)
  assert.equal(asked, 64)
})

test('a real resolver is asked in the words of DNS', async () => {
  await using server = await startDns({
    '7.2.0.192.in-addr.arpa': { type: 'PTR', values: ['mail.example.net'] },
    'mail.example.net': { type: 'A', values: ['192.0.2.7'] },
  })
  const query = dnsQuery([`127.0.0.1:${server.port}`])
  assert.deepEqual(await query.reverse('192.0.2.7'), ['mail.example.net'])
  assert.deepEqual(await query.resolve('mail.example.net', 4), ['192.0.2.7'])
  await assert.rejects(query.reverse('192.0.2.8'))
})
