/** What `doveadm director map` and `doveadm director status` print. Dovecot 2.3. */
import type { WeightedServer } from './fact.ts'
import { entryLines, Findings, type MapFormat, type ParseInput } from './map-format.ts'
import { readServer } from './server-text.ts'

export const dovecotDirector: MapFormat = {
  name: 'dovecot-director',
  summary: 'Dovecot director: doveadm director map, or doveadm director status',
  parse,
}

function parse(input: ParseInput): Findings {
  const found = new Findings()
  const servers: WeightedServer[] = []
  let at = { file: input.file, line: 1, column: 1 }
  for (const line of entryLines(input)) {
    const words = line.text.trim().split(/\s+/)
    if (/^(?:user|mail server ip)\s/i.test(line.text.trim())) {
      at = line.at
      continue
    }
    const status = statusOf(words)
    if (status !== undefined) {
      if (status.weight === 0) found.note(line, 'it takes no users: no vhosts')
      else servers.push(status)
      continue
    }
    const [user = '', hash = '', host = ''] = words
    const server = readServer(host)
    if (server === undefined || !/^\d+$/.test(hash)) found.note(line, 'it is no user and server')
    else if (user === '<unknown>') found.note(line, 'the director knew only the hash of the user')
    else {
      const to = { kind: 'server', server } as const
      found.facts.push({ kind: 'user', at: line.at, key: user, side: 'both', to })
    }
  }
  if (servers.length > 0)
    found.facts.push({ kind: 'shares', at, match: '*', servers: reduced(servers) })
  return found
}

/** `ip [tag] vhosts state changed… users`; undefined where the line is another one. */
function statusOf(words: readonly string[]): WeightedServer | undefined {
  const [host = '', ...rest] = words
  const state = rest.findIndex((word) => /^(?:up|down)$/.test(word))
  const server = readServer(host)
  const vhosts = rest[state - 1]
  if (state < 1 || server === undefined || vhosts === undefined || !/^\d+$/.test(vhosts)) {
    return undefined
  }
  return { server, weight: Number(vhosts) }
}

/** 100 and 50 vhosts are 2 and 1. */
function reduced(servers: readonly WeightedServer[]): WeightedServer[] {
  const divisor = servers.map(({ weight }) => weight).reduce(greatestCommonDivisor)
  return servers.map(({ server, weight }) => ({ server, weight: weight / divisor }))
}

function greatestCommonDivisor(one: number, other: number): number {
  return other === 0 ? one : greatestCommonDivisor(other, one % other)
}
