/**
 * What `doveadm director map`, `status` and `dump` print, as tables or with `-f tab`. Dovecot up to
 * 2.3. A server's share of the users that nothing else is known of is told by its vhosts.
 */
import type { Server, WeightedServer } from './fact.ts'
import {
  entryLines,
  Findings,
  type MapFormat,
  type ParseInput,
  type TextLine,
} from './map-format.ts'

export const dovecotDirector: MapFormat = {
  name: 'dovecot-director',
  summary: 'Dovecot director: doveadm director map, status or dump',
  parse,
}

const address = String.raw`([\da-fA-F]+[.:][\da-fA-F.:]*)`
const time = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`
const heads = /^(?:user\s+hash\s+mail server ip\s+expire time|mail server ip\s.*\busers)\s*$/
const userLine = new RegExp(String.raw`^(.+?)\s+(\d+)\s+${address}\s+${time}\s*$`, 'u')
const statusLine = new RegExp(
  String.raw`^${address}\s+(?:(\S+)\s+)?(\d+)\s+(up|down)\s+(?:-|${time})\s+\d+\s*$`,
  'u',
)
/** Before 2.2.30 there were no tags and no states. */
const oldStatusLine = new RegExp(String.raw`^${address}\s+(\d+)\s+\d+\s*$`, 'u')
const dumpLine = new RegExp(
  String.raw`^doveadm director add (?:-a \S+ )?${address}(?:@(\S+))? (\d+)\s*$`,
  'u',
)

interface Host {
  readonly server: Server
  readonly tag: string | undefined
  readonly weight: number
  readonly isDown: boolean
}

function parse(input: ParseInput): Findings {
  const found = new Findings()
  const servers: WeightedServer[] = []
  let at = { file: input.file, line: 1, column: 1 }
  for (const line of entryLines(input)) {
    if (heads.test(line.text)) continue
    const host = hostOf(line.text)
    if (host === undefined) {
      takeUser(line, found)
      continue
    }
    const { server, weight } = host
    const fault = faultOf(host)
    if (fault !== undefined) found.note(line, fault)
    else {
      if (servers.length === 0) at = line.at
      servers.push({ server, weight })
    }
  }
  if (servers.length > 0)
    found.facts.push({ kind: 'shares', at, match: '*', servers: reduced(servers) })
  return found
}

function hostOf(text: string): Host | undefined {
  const old = oldStatusLine.exec(text)
  const [, host, tag, vhosts, state] =
    statusLine.exec(text) ??
    dumpLine.exec(text) ??
    (old === null ? [] : [old[0], old[1], undefined, old[2]])
  if (host === undefined) return undefined
  return { server: { host }, tag, weight: Number(vhosts), isDown: state === 'down' }
}

function faultOf({ tag, weight, isDown }: Host): string | undefined {
  if (weight === 0) return 'it takes no users: no vhosts'
  if (isDown) return 'it is down: put it into hash(…) if it comes back'
  if (tag === undefined) return undefined
  return `only users with director_tag=${tag} are there: write a rule that matches them`
}

function takeUser(line: TextLine, found: Findings): void {
  const [, user = '', , host = ''] = userLine.exec(line.text) ?? []
  if (user === '') found.note(line, 'it is no line of doveadm director map, status or dump')
  else if (user === '<unknown>') found.note(line, 'the director knew only the hash of the user')
  else {
    const to = { kind: 'server', server: { host } } as const
    found.facts.push({ kind: 'user', at: line.at, key: user, side: 'both', to })
  }
}

/** 100 and 50 vhosts are 2 and 1. */
function reduced(servers: readonly WeightedServer[]): WeightedServer[] {
  const divisor = servers.map(({ weight }) => weight).reduce(greatestCommonDivisor)
  return servers.map(({ server, weight }) => ({ server, weight: weight / divisor }))
}

function greatestCommonDivisor(one: number, other: number): number {
  return other === 0 ? one : greatestCommonDivisor(other, one % other)
}
