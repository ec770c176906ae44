/** The lines of a `map` block of nginx that gives the server of a login. */
import { exportedLogins, notCarried, notCarriedRules } from './export-entries.ts'
import {
  entryLines,
  type ExportedMap,
  Findings,
  type MapFormat,
  type ParseInput,
  type Printed,
} from './map-format.ts'
import { printLogin, readLogin } from './perdition-popmap.ts'

export const nginxMap: MapFormat = {
  name: 'nginx-map',
  summary: 'nginx map block: login, blank, host:port;',
  parse,
  print,
}

function parse(input: ParseInput): Findings {
  const found = new Findings()
  for (const line of entryLines(input)) {
    const text = line.text.trim().replace(/\s*#[^"]*$/, '')
    if (/^map\s.*\{$|^\}$|^(?:hostnames|volatile);$/.test(text)) continue
    const [, quoted, plain, value = ''] =
      /^(?:"((?:[^"\\]|\\.)*)"|(\S+))\s+"?([^";]*)"?\s*;$/.exec(text) ?? []
    const key = quoted?.replace(/\\(.)/g, '$1') ?? plain
    const to = readLogin(value)
    if (key === undefined || to === undefined) found.note(line, 'it is not login host:port;')
    else if (key === 'default') found.facts.push({ kind: 'rule', at: line.at, match: '*', to })
    else if (key.startsWith('~')) {
      const expression = key.replace(/^~\*?/, '')
      if (key.startsWith('~*')) found.note(line, 'logins are compared in small letters already')
      found.facts.push({ kind: 'pattern', at: line.at, expression, to })
    } else {
      const name = key.replace(/^\\/, '')
      found.facts.push({ kind: 'user', at: line.at, key: name, side: 'retrieval', to })
    }
  }
  return found
}

function* print(map: ExportedMap): Generator<Printed, void, undefined> {
  for (const found of exportedLogins(map, 'name and addresses')) {
    if ('reason' in found) {
      yield found
      continue
    }
    const { name, backend, login, isRenamed } = found
    if (isRenamed) yield notCarried(name, `the name ${login} there needs Auth-User of auth_http`)
    const value = printLogin(map, { backend })
    yield value === undefined
      ? notCarried(name, `${backend} has no port for logins`)
      : `${quote(name)} ${value};`
  }
  const any = map.rules.find(({ match }) => match.kind === 'any')
  const isBackend = any?.destination.kind === 'backend' ? any.destination : undefined
  const value = isBackend && printLogin(map, isBackend)
  if (value !== undefined) yield `default ${value};`
  yield* notCarriedRules(
    map,
    'only * has a form here',
    (text) => value !== undefined && text === any?.text,
  )
}

/** nginx takes some words and characters for its own. */
function quote(name: string): string {
  const escaped = name.replace(/["\\$]/g, String.raw`\$&`)
  const isOwn = /^(?:default|include|hostnames|volatile|~|\\)/.test(name)
  return `"${isOwn ? '\\\\' : ''}${escaped}"`
}
