/**
 * Who takes part: three back-ends, the users and aliases there, and which messages are sent. All of it
 * follows from a seed, so that a run can be repeated as far as the machine allows.
 */
export interface BackendRole {
  readonly name: string
  readonly protocol: 'smtp' | 'lmtp'
}

export const backends: readonly BackendRole[] = [
  { name: 'fritz', protocol: 'smtp' },
  { name: 'ingrid', protocol: 'lmtp' },
  { name: 'klaus', protocol: 'smtp' },
]

/** Users of each kind at each back-end, and aliases. */
const each = 20
export const domain = 'example.com'
/** Hears of what could not be delivered. */
export const notified = 'notified'
/** Its back-end refuses every message for it. */
export const unwanted = 'ingrid-unwanted'

export interface Target {
  readonly local: string
  readonly backend: string
}

function at(backend: string, kind: string, number: number): Target {
  return { local: `${backend}-${kind}${number}`, backend }
}

/** Where a recipient as the sender names it comes to. Members of aliases are nobody else's. */
export function targetsOf(local: string): readonly Target[] {
  const [, kind = '', digits = ''] = /^(team|pair|mixed)(\d+)$/.exec(local) ?? []
  const number = Number(digits)
  switch (kind) {
    case 'team':
      return backends.map(({ name }) => at(name, 'team', number))
    case 'pair':
      return [at('ingrid', 'pair', number), at('ingrid', 'pair', number + each)]
    case 'mixed':
      return [at('fritz', 'mixed', number), { local: unwanted, backend: 'ingrid' }]
    default:
      return [{ local, backend: local.split('-')[0] ?? '' }]
  }
}

/** The sources of the map: user_map and aliases. */
export function mapSources(): { readonly users: string; readonly aliases: string } {
  const users: string[] = [`${notified} klaus`, `${unwanted} ingrid`]
  const aliases: string[] = []
  for (let number = 0; number < each; number++) {
    for (const kind of ['team', 'pair', 'mixed']) {
      aliases.push(`${kind}${number}: ${memberNames(`${kind}${number}`)}`)
    }
    for (const { name } of backends) {
      for (const kind of ['user', 'team', 'mixed']) users.push(`${name}-${kind}${number} ${name}`)
    }
  }
  for (let number = 0; number < 2 * each; number++) users.push(`ingrid-pair${number} ingrid`)
  return { users: `${users.join('\n')}\n`, aliases: `${aliases.join('\n')}\n` }
}

function memberNames(alias: string): string {
  return targetsOf(alias)
    .map(({ local }) => local)
    .join(', ')
}

export interface Message {
  readonly number: number
  readonly sender: string
  /** Local parts, as the sender names them. */
  readonly recipients: readonly string[]
  readonly bytes: number
}

/** Share of messages with a member that is refused for good: notifications are rate-capped. */
const mixedShare = 0.002

export function makeMessage(number: number, random: () => number): Message {
  const pick = (count: number): number => Math.floor(random() * count)
  const user = (backend: string): string => `${backend}-user${pick(each)}`
  const anywhere = (): string => user(backends[pick(backends.length)]?.name ?? 'fritz')
  const kind = random()
  const size = random()
  const bytes = size < 0.8 ? 300 : size < 0.998 ? 4096 : 300_000
  const common = { number, sender: 'sue@example.net', bytes }
  if (kind < mixedShare) {
    return { ...common, sender: `${notified}@${domain}`, recipients: [`mixed${pick(each)}`] }
  }
  if (kind < 0.55) return { ...common, recipients: [anywhere()] }
  if (kind < 0.65) {
    return { ...common, recipients: [...new Set([user('ingrid'), user('ingrid'), user('ingrid')])] }
  }
  if (kind < 0.75) return { ...common, recipients: [user('fritz'), user('ingrid')] }
  if (kind < 0.85) return { ...common, recipients: backends.map(({ name }) => user(name)) }
  if (kind < 0.93) return { ...common, recipients: [`team${pick(each)}`] }
  return { ...common, recipients: [`pair${pick(each)}`, user('klaus')] }
}

/** The whole text as it is sent; every attempt bears its number. */
export function textOf({ number, bytes }: Message, attempt: number): string {
  const line = `${'text of a message '.repeat(4)}\r\n`
  const head = `Subject: ledger\r\nX-Ledger: ${number} ${attempt}\r\n\r\n..dot\r\n`
  return `${head}${line.repeat(Math.ceil(bytes / line.length))}.\r\n`
}
