/** The compiled database against a naive resolver that reads the same sources as lists. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseAddress } from '../../src/mail/address.ts'
import type { Direction, Resolution } from '../../src/mail/route.ts'
import { buildMap } from '../../src/map/build.ts'
import { openMap } from '../../src/map/open.ts'
import { MapProblems } from '../../src/map/problems.ts'
import { configOf } from '../support/map-case.ts'
import { tempDir } from '../support/temp-dir.ts'

interface Sources {
  readonly aliases: readonly (readonly [key: string, targets: readonly string[]])[]
  readonly userMap: readonly (readonly [key: string, value: string])[]
  readonly popmap: readonly (readonly [key: string, value: string])[]
  readonly rules: readonly (readonly [match: string, destination: string])[]
}

const names = ['ann', 'bob', 'cleo', 'dan', 'eve']
const domains = ['example.com', 'example.net']
const name = fc.constantFrom(...names)
const domain = fc.constantFrom(...domains)
const qualified = fc.tuple(name, domain).map(([local, host]) => `${local}@${host}`)
const detailed = fc.tuple(name, domain).map(([local, host]) => `${local}+x@${host}`)
const wide = fc.oneof(
  domain.map((host) => `@${host}`),
  fc.tuple(name, domain).map(([local, host]) => `${local}+*@${host}`),
)
const key = fc.oneof(name, qualified, qualified, detailed)
const target = fc.oneof(name, qualified, detailed, fc.constant('someone@elsewhere.example'))
const backendValue = fc.constantFrom('fritz', 'ingrid', 'other@fritz')
const userValue = fc.oneof(
  { weight: 4, arbitrary: backendValue },
  qualified,
  fc.constantFrom('error:5.7.1:550 no', 'defer:4.2.1:450 wait', 'someone@elsewhere.example'),
)
const wideValue = fc.oneof(userValue, fc.constantFrom('%1@example.net', 'x%3@elsewhere.example'))
const userLine = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(key, userValue) },
  fc.tuple(wide, wideValue),
)
const rule = fc.tuple(
  fc.constantFrom('a-b', '/^c/', '*n@example.net', '@example.net', '*'),
  fc.constantFrom('fritz', 'ingrid', 'reject 5.1.1 "none"', 'defer 4.2.1 "wait"'),
)
const unique = { maxLength: 8, selector: ([first]: readonly [string, unknown]) => first }
const sources: fc.Arbitrary<Sources> = fc.record({
  aliases: fc.uniqueArray(
    fc.tuple(key, fc.uniqueArray(target, { minLength: 1, maxLength: 3 })),
    unique,
  ),
  userMap: fc.uniqueArray(userLine, unique),
  popmap: fc.uniqueArray(fc.tuple(key, backendValue), unique),
  rules: fc.uniqueArray(rule, { ...unique, maxLength: 3 }),
})

interface Mail {
  readonly local: string
  readonly detail: string
  readonly domain: string
}

function read(text: string): Mail {
  const [whole = '', host = 'example.com'] = text.split('@')
  const [local = '', detail = ''] = whole.split('+')
  return { local, detail, domain: host }
}

function write({ local, detail, domain: host }: Mail): string {
  return `${local}${detail === '' ? '' : `+${detail}`}@${host}`
}

type Line<Value> = readonly [string, Value]

function lineFor<Value>(list: readonly Line<Value>[], mail: Mail): Line<Value> | undefined {
  const star = mail.detail === '' ? [] : [`${mail.local}+*@${mail.domain}`]
  const whole = `${mail.local}@${mail.domain}`
  const keys = [write(mail), ...star, whole, mail.local, `@${mail.domain}`]
  return keys.map((one) => list.find(([other]) => other === one)).find((one) => one !== undefined)
}

function ladder<Value>(list: readonly Line<Value>[], mail: Mail): Value | undefined {
  const found = lineFor(list, mail)
  if (typeof found?.[1] !== 'string' || !/^@|[*]@/.test(found[0])) return found?.[1]
  const detail = mail.detail === '' ? '' : `+${mail.detail}`
  return found[1].replace('%1', mail.local).replace('%3', detail) as Value & string
}

function ruleFor({ rules }: Sources, { local, domain: host }: Mail): string | undefined {
  const first = local[0] ?? ''
  const matches: Readonly<Record<string, boolean>> = {
    'a-b': first === 'a' || first === 'b',
    '/^c/': first === 'c',
    '*n@example.net': local.endsWith('n') && host === 'example.net',
    '@example.net': host === 'example.net',
    '*': true,
  }
  const found = rules.find(([match]) => matches[match])?.[1]
  return found?.replace('reject 5.1.1 "none"', 'error:').replace('defer 4.2.1 "wait"', 'defer:')
}

/** `fritz`, `ingrid`, `other@fritz` → a destination in words. */
function at(value: string, mail: Mail): string {
  if (value !== 'other@fritz') return `${write(mail)} ${value} ${mail.local}@${mail.domain}`
  return `${write({ ...mail, local: 'other' })} fritz other`
}

class Trouble extends Error {}

function deliver(map: Sources, start: Mail): string {
  const found = new Set<string>()
  const seen = new Set([write(start)])
  const refusals: string[] = []
  // A source names an address on the way; else all that it leads to is made of what was asked for.
  let isNamed = false
  const place = (mail: Mail, path: readonly string[]): void => {
    const value = ladder(map.userMap, mail) ?? ruleFor(map, mail)
    if (value === undefined) {
      if (isNamed) throw new Trouble('nobody')
      refusals.push('unknown')
    } else if (/^(?:error|defer):/.test(value)) refusals.push(value.slice(0, 5))
    else if (value === 'other@fritz' || !value.includes('@')) found.add(at(value, mail))
    else {
      isNamed ||= lineFor(map.userMap, mail)?.[1].includes('%') !== true
      follow(read(value), [...path, write(mail)])
    }
  }
  const follow = (mail: Mail, path: readonly string[]): void => {
    const own = write(mail)
    if (path.includes(own)) throw new Trouble('loop')
    if (seen.has(own)) return
    seen.add(own)
    if (domains.includes(mail.domain)) visit(mail, path)
    else found.add(`${own} out ${own}`)
  }
  const visit = (mail: Mail, path: readonly string[]): void => {
    const targets = ladder(map.aliases, mail)
    if (targets === undefined) return place(mail, path)
    isNamed = true
    const here = [...path, write(mail)]
    for (const one of targets) {
      const isSelf = one === mail.local || write(read(one)) === write(mail)
      if (isSelf) place(mail, [...here, ''])
      else follow(read(one), here)
    }
    return undefined
  }
  visit(start, [])
  if (refusals.includes('defer')) return 'defer'
  return found.size > 0 ? [...found].sort().join('; ') : (refusals[0] ?? 'unknown')
}

function leadsNowhere(map: Sources, text: string): boolean {
  if (!map.userMap.some(([, value]) => value.includes('%'))) return false
  try {
    deliver(map, read(text))
    return false
  } catch (trouble) {
    return trouble instanceof Trouble
  }
}

function retrieve(map: Sources, mail: Mail): string {
  const value = ladder(map.popmap, mail) ?? ladder(map.userMap, mail) ?? ruleFor(map, mail)
  if (value === undefined) return 'unknown'
  if (/^(?:error|defer):/.test(value)) return value.slice(0, 5)
  const isBackend = value === 'other@fritz' || !value.includes('@')
  return isBackend ? at(value, mail) : 'unknown'
}

function inWords(resolution: Resolution): string {
  if (resolution.result === 'route' || resolution.result === 'expand') {
    const list = resolution.result === 'route' ? [resolution.destination] : resolution.destinations
    return list
      .map((one) => `${one.address} ${one.backend} ${one.login}`)
      .sort()
      .join('; ')
  }
  if (resolution.result === 'reject') return 'error'
  return resolution.result === 'error' ? `error: ${resolution.reason}` : resolution.result
}

function writeSources(folder: string, map: Sources): void {
  const put = (file: string, lines: readonly string[]): void =>
    writeFileSync(`${folder}/${file}`, ['# sources', ...lines, ''].join('\n'))
  put(
    'aliases',
    map.aliases.map(([one, targets]) => `${one}: ${targets.join(', ')}`),
  )
  put(
    'user_map',
    map.userMap.map(([one, value]) => `${one}\t${value}`),
  )
  put(
    'popmap',
    map.popmap.map(([one, value]) => `${one}:${value}`),
  )
  put('rules', [...map.rules.map(([match, destination]) => `${match} ${destination}`), 'z-z fritz'])
}

// Of yuri no line tells, so that only what holds for everybody does.
const everyAddress = [...names, 'yuri'].flatMap((local) =>
  domains.flatMap((host) => [`${local}@${host}`, `${local}+x@${host}`, `${local}+y@${host}`]),
)

test('the compiled database answers as a naive resolver over the sources', async () => {
  using dir = tempDir()
  let compared = 0
  await fc.assert(
    fc.asyncProperty(sources, async (map) => {
      writeSources(dir.path, map)
      const config = configOf(dir.path, dir.join('map.db'))
      try {
        await buildMap(config, { force: true })
      } catch (error) {
        assert.ok(error instanceof MapProblems)
        // The build says what the naive resolver meets at some address.
        const codes = error.problems.filter(({ severity }) => severity === 'error')
        const met = everyAddress.some((text) => {
          try {
            deliver(map, read(text))
            return false
          } catch (trouble) {
            return trouble instanceof Trouble
          }
        })
        assert.ok(met, codes.map(({ message }) => message).join())
        return
      }
      const reader = openMap(config.map.database)
      for (const text of everyAddress) {
        const address = parseAddress(text, config.naming)
        assert.ok(address)
        const found = (direction: Direction): string =>
          inWords(reader.resolve(direction, address, config.naming))
        assert.equal(found('retrieval'), retrieve(map, read(text)), `retrieval ${text}`)
        // Where parts of names lead is known only at the lookup.
        if (leadsNowhere(map, text)) assert.match(found('delivery'), /^error: /)
        else assert.equal(found('delivery'), deliver(map, read(text)), `delivery ${text}`)
        compared++
      }
      reader.close()
    }),
    { numRuns: 200 },
  )
  assert.ok(compared > 500, `${compared} addresses`)
})

const localPart = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,12}$/)
const line = fc.record({
  local: fc.oneof(localPart, localPart, fc.constantFrom('josé', 'a+b', 'x!y', '+a', 'İ')),
  domain: fc.constantFrom('', '@example.com', '@Example.COM', '@example.net', '@elsewhere.example'),
  value: fc.constantFrom(
    'fritz',
    'INGRID',
    'a.b@fritz',
    'error:5.7.1:550 no',
    'smtp:[10.0.0.12]:24',
  ),
  blanks: fc.constantFrom(' ', '\t', ' \t '),
  end: fc.constantFrom('\n', '\r\n', ' \n'),
})

test('lines taken as bytes and lines taken as text make the same records', async () => {
  using dir = tempDir()
  const config = configOf(dir.path, dir.join('map.db'))
  const map = { ...config.map, userMap: dir.join('user_map') }
  const contents = async (text: string): Promise<Buffer | readonly string[]> => {
    writeFileSync(map.userMap, text)
    try {
      await buildMap({ ...config, map }, { force: true })
      // The header has the digest of the sources, which differ.
      return readFileSync(map.database).subarray(4096)
    } catch (error) {
      assert.ok(error instanceof MapProblems)
      return error.problems.map(({ code, message }) => `${code} ${message}`)
    }
  }
  await fc.assert(
    fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 12 }), async (lines) => {
      const plain = lines.map(
        ({ local, domain: host, value, blanks, end }) => `${local}${host}${blanks}${value}${end}`,
      )
      // Quotes keep a line from being taken as bytes.
      const quoted = lines.map(
        ({ local, domain: host, value, blanks, end }) => `"${local}"${host}${blanks}${value}${end}`,
      )
      assert.deepEqual(await contents(plain.join('')), await contents(quoted.join('')))
    }),
    { numRuns: 150 },
  )
})

test('a login name that a pattern makes of a login is a name, or the lookup is an error', async () => {
  using dir = tempDir()
  mkdirSync(dir.join('popmap'))
  writeFileSync(
    dir.join('popmap/x.re'),
    [
      String.raw`^(.*)@example\.com$: $1@fritz`,
      String.raw`^(q*).*@example\.net$: $1@fritz`,
      '',
    ].join('\n'),
  )
  const config = configOf(dir.path, dir.join('map.db'))
  await buildMap(config)
  const map = openMap(dir.join('map.db'))
  const resultOf = (text: string): string => {
    const address = parseAddress(text, config.naming)
    assert.ok(address)
    return map.resolve('retrieval', address, config.naming).result
  }
  assert.equal(resultOf('ann@example.com'), 'route')
  for (const text of [
    'two words@example.com',
    'a"b@example.com',
    'a\\b@example.com',
    'ann@example.net',
  ]) {
    assert.equal(resultOf(text), 'error', text)
  }
  map.close()
})
