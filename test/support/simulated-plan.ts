/** What kind of world a seed makes: what its back-ends are like, what fails in it, and how often. */
import type { Random } from './random.ts'
import type { Traits } from './simulated-imap.ts'

/** Of a thousand ticks, commands or writes. */
export interface Rates {
  /** The mover is killed: at a moment, or as it writes something down. */
  readonly kills: number
  readonly lastWrites: number
  /** A write to the state database fails. */
  readonly fullDisks: number
  readonly interrupts: number
  readonly cuts: number
  readonly outages: number
  readonly refusals: number
  /** Of the daemon. */
  readonly restarts: number
  readonly expiries: number
  readonly lates: number
  readonly lostAnswers: number
  readonly insideWrites: number
  readonly renumberings: number
  readonly work: number
}

export interface Plan {
  readonly source: Traits
  readonly target: Traits
  readonly rates: Rates
  /** It is given up in this run of the command, or never. */
  readonly abortsIn: number | undefined
  /** Somebody has put messages at the target before. */
  readonly isMerged: boolean
  readonly deletes: boolean
  readonly movesBack: boolean
  readonly messages: number
}

export const quiet: Rates = {
  kills: 0,
  lastWrites: 0,
  fullDisks: 0,
  interrupts: 0,
  cuts: 0,
  outages: 0,
  refusals: 0,
  restarts: 0,
  expiries: 0,
  lates: 0,
  lostAnswers: 0,
  insideWrites: 0,
  renumberings: 0,
  work: 0,
}

/** Nothing happens but that the user works. */
export function calm({ work }: Rates): Rates {
  return { ...quiet, work: Math.min(work, 20) }
}

const capabilities = [
  'UIDPLUS',
  'MULTIAPPEND',
  'LITERAL+',
  'CONDSTORE',
  'LIST-EXTENDED',
  'LIST-STATUS',
  'ESEARCH',
  'SPECIAL-USE',
  'NAMESPACE',
  'STATUS=SIZE',
]

export function planOf(random: Random): Plan {
  const source = traitsOf(random)
  const target = traitsOf(random)
  const pick = (chance: number): boolean => random() < chance
  // Without it nothing can be taken away at the target, which the command says.
  const deletes = target.offers.has('UIDPLUS')
  return {
    source,
    target,
    rates: ratesOf(random),
    abortsIn: pick(0.2) ? 1 + Math.floor(random() * 3) : undefined,
    isMerged: pick(0.15),
    deletes,
    movesBack: pick(0.2) && source.offers.has('UIDPLUS') && deletes,
    messages: Math.floor(random() * 12),
  }
}

function traitsOf(random: Random): Traits {
  const one = <Item>(...items: readonly [Item, ...Item[]]): Item =>
    items[Math.floor(random() * items.length)] as Item
  const offers = new Set(capabilities.filter((name) => random() < (name === 'UIDPLUS' ? 0.9 : 0.7)))
  const delimiter = one('/', '.')
  return {
    offers,
    delimiter,
    prefix: offers.has('NAMESPACE') && random() < 0.3 ? `INBOX${delimiter}` : '',
    style: one('master', 'authzid'),
    tells: one('at NOOP', 'always'),
    gone: one('kept', 'left out', 'empty'),
    lost: one('cut', 'kept'),
    keeps: random() < 0.85 ? 'all' : 'system flags',
  }
}

/** A third of all worlds is quiet but for the user; in others some things fail. */
function ratesOf(random: Random): Rates {
  const work = random() * 60
  if (random() < 0.2) return { ...quiet, work }
  const some = (most: number): number => (random() < 0.5 ? 0 : random() * most)
  return {
    kills: some(12),
    lastWrites: some(40),
    fullDisks: some(10),
    interrupts: some(4),
    cuts: some(15),
    outages: some(6),
    refusals: some(10),
    restarts: some(15),
    expiries: some(15),
    lates: some(60),
    lostAnswers: some(60),
    insideWrites: some(12),
    renumberings: some(8),
    work,
  }
}
