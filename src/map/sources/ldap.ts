/**
 * LDAP: the one file that knows `ldapts`. Entries come in pages (RFC 2696), over one connection that
 * is never made anew: a second one would be nobody's, and might be shown less.
 */
import {
  Client,
  type Filter,
  FilterParser,
  InvalidCredentialsError,
  ResultCodeError,
  type SearchOptions,
} from 'ldapts'
import { messageOf } from '../../base/error.ts'
import { waits } from '../../base/limit.ts'
import type { LdapConfig } from '../../config/database-config.ts'
import type { DatabaseSecrets } from './database-source.ts'
import type { LdapEntry } from './ldap-entry.ts'
import { failureOf, SourceFailure } from './source-failure.ts'

/** What servers give at most for one request, by default. */
const pageEntries = 1000
/** Has no multiple in common with the other below a million. */
const countedPageEntries = 997
/** Result codes that pass: time limit, busy, unavailable, other. RFC 4511 appendix A.1. */
const passing = new Set([3, 51, 52, 80])

/** Entries that the filter finds. Throws SourceFailure. */
export async function* readLdap(
  config: LdapConfig,
  secrets: DatabaseSecrets,
  signal: AbortSignal,
): AsyncGenerator<readonly LdapEntry[]> {
  const filter = parseFilter(config)
  const client = new Client(clientOptions(config, secrets))
  const stop = (): void => void client.unbind().catch(() => undefined)
  signal.addEventListener('abort', stop)
  try {
    if (config.tls === 'starttls') await client.startTLS(tlsOptions(config, secrets))
    if (config.bindDn !== undefined) await client.bind(config.bindDn, secrets.password ?? '')
    yield* readPages(client, config, filter)
  } catch (error) {
    throw translate(error)
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
}

function parseFilter({ filter }: LdapConfig): Filter {
  try {
    return FilterParser.parseString(filter)
  } catch (error) {
    throw new SourceFailure('unreadable', `filter: ${messageOf(error)}`, { cause: error })
  }
}

async function* readPages(
  client: Client,
  config: LdapConfig,
  filter: Filter,
): AsyncGenerator<LdapEntry[]> {
  const { key, ...single } = config.attributes
  const attributes = [...key, ...Object.values(single)].filter((name) => name !== undefined)
  const options: SearchOptions = {
    scope: config.scope,
    filter,
    attributes,
    explicitBufferAttributes: attributes,
    paged: { pageSize: pageEntries },
  }
  let total = 0
  let last = 0
  for await (const page of client.searchPaginated(config.base, options)) {
    const { searchEntries, searchReferences } = page
    refuseReferences(searchReferences)
    last = searchEntries.length
    total += last
    yield searchEntries.map(entryOf)
  }
  if (total > 0 && last === 0) await refuseMore(client, config, { filter, total })
}

/** Elsewhere there is more: a map without it would lack users. */
function refuseReferences([first]: readonly string[]): void {
  if (first === undefined) return
  const what = `the server refers to ${first.replace(/\?.*/, '')}, which is not asked`
  throw new SourceFailure('unreadable', `${what}: search below it, or under another base`)
}

/**
 * The library takes an empty page for the last one, and a server may give one in between. Whether
 * there is more is seen by counting in pages of another size.
 */
async function refuseMore(
  client: Client,
  { scope, base }: LdapConfig,
  { filter, total }: { readonly filter: Filter; readonly total: number },
): Promise<void> {
  const paged = { pageSize: countedPageEntries }
  let counted = 0
  let last = 0
  const options: SearchOptions = { scope, filter, attributes: ['1.1'], paged }
  for await (const { searchEntries } of client.searchPaginated(base, options)) {
    last = searchEntries.length
    counted += last
  }
  if (counted === total && last > 0) return
  const what = `${total} entries and an empty page were read, and ${counted} when counted`
  throw new SourceFailure('unavailable', `${what}: whether that is all is not known`)
}

function entryOf({ dn, ...attributes }: { dn: string } & Record<string, unknown>): LdapEntry {
  const values = new Map<string, readonly string[]>()
  for (const [name, value] of Object.entries(attributes)) {
    const all = [value].flat().filter((one) => Buffer.isBuffer(one) || typeof one === 'string')
    values.set(name.toLowerCase(), all.map(String))
  }
  return { dn, values }
}

function translate(error: unknown): SourceFailure {
  if (error instanceof InvalidCredentialsError) {
    return new SourceFailure('unreadable', 'bind_dn or its password is wrong', { cause: error })
  }
  if (!(error instanceof ResultCodeError)) return failureOf(error, false)
  const code = passing.has(error.code) ? 'unavailable' : 'unreadable'
  return new SourceFailure(code, describe(error), { cause: error })
}

/** What the result is called, its number, and what the server says of it; often that is nothing. */
function describe(error: ResultCodeError): string {
  const words = error.constructor.name.replace(/Error$/, '').replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ')
  const said = error.message.replace(/\s*Code: 0x[\da-f]+$/, '').trim()
  return `${words.toLowerCase()} (LDAP result ${error.code})${said === '' ? '' : `: ${said}`}`
}

function clientOptions(config: LdapConfig, secrets: DatabaseSecrets) {
  const scheme = config.tls === 'implicit' ? 'ldaps' : 'ldap'
  const host = config.host.includes(':') ? `[${config.host}]` : config.host
  return {
    url: `${scheme}://${host}:${config.port}`,
    connectTimeout: Math.min(waits.backendConnectMs, config.timeoutMs),
    ...(scheme === 'ldaps' ? { tlsOptions: tlsOptions(config, secrets) } : {}),
  }
}

function tlsOptions({ host }: LdapConfig, { ca }: DatabaseSecrets) {
  const isName = !/^[\d.]+$|:/.test(host)
  return {
    host,
    rejectUnauthorized: true,
    ...(isName ? { servername: host } : {}),
    ...(ca === undefined ? {} : { ca }),
  }
}
