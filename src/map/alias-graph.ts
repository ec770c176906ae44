/**
 * Aliases and forwards as a graph in which every address is looked at once: what a list of lists
 * leads to is counted from the counts of its members, so a count of any size takes no longer than
 * reading the lists. Without recursion, since a chain in a source may have any length.
 */
import { type Address, formatAddress, parseAddress } from '../mail/address.ts'
import type { Verdict } from '../mail/route.ts'
import { type ExpansionFault, expansionLimits } from './expand.ts'
import { addressesOf, detailKey } from './key.ts'
import { climb, findTargets, type Placement, placeMail, type Scope } from './place.ts'

/** An address that stands for others. */
export interface GraphNode {
  readonly kind: 'alias' | 'forward'
  /** The key of the map that says so. */
  readonly key: string
  readonly address: Address
  readonly targets: readonly string[]
  readonly id: string
}

export interface Reach {
  /** Aliases and forwards in the longest chain that begins here. */
  readonly height: number
  /** Ways that lead to addresses; one that is reached by two ways counts twice. */
  readonly ways: number
  /** The target that begins the longest chain, and where it leads. */
  readonly deepest: { readonly text: string; readonly id: string } | undefined
  readonly hasTooMany: boolean
  readonly isReached: boolean
  readonly isDeferred: boolean
  readonly refusal: Verdict | undefined
}

export type Finding =
  | { readonly kind: ExpansionFault['kind']; readonly reason: string }
  | { readonly kind: 'refused'; readonly verdict: Verdict }
  | { readonly kind: 'circle'; readonly circle: readonly GraphNode[] }

/** Takes what is found at a target of a node; `text` undefined: at the node itself. */
export type TakeFinding = (node: GraphNode, text: string | undefined, finding: Finding) => void

type Edge =
  | { readonly kind: 'child'; readonly id: string; readonly node: GraphNode | undefined }
  | { readonly kind: 'end' | 'deferred' }
  | { readonly kind: 'refused'; readonly verdict: Verdict }
  | { readonly kind: ExpansionFault['kind']; readonly reason: string }

interface Frame {
  readonly node: GraphNode
  reach: Reach
  /** Number of the next target. */
  next: number
  isInCircle: boolean
}

const leaf: Reach = {
  height: 0,
  ways: 0,
  deepest: undefined,
  hasTooMany: false,
  isReached: false,
  isDeferred: false,
  refusal: undefined,
}

/** Shorter lists of users are read again rather than remembered: most aliases are such. */
const smallList = 4

export class AliasGraph {
  readonly #scope: Scope
  readonly #take: TakeFinding
  readonly #known = new Map<string, Reach>()
  readonly #members = new Map<string, readonly Address[]>()
  readonly #stack: Frame[] = []
  /** Where each node stands in the stack. */
  readonly #open = new Map<string, number>()
  /** The key that answered last, of aliases or of user_map. */
  #asked = ''

  constructor(scope: Scope, take: TakeFinding) {
    this.#scope = { ...scope, trace: ({ asked }) => void (this.#asked = asked) }
    this.#take = take
  }

  /**
   * Follows what a key says to all that it leads to. A bare key is tried in one domain where it
   * decides, and in all only where a target has its own name, since only then the domain makes a
   * difference.
   */
  visitKey(key: string): void {
    const { naming } = this.#scope
    const isOwn = (text: string): boolean => `${parseAddress(text, naming)?.user}@` === key
    for (const address of addressesOf(key, naming)) {
      const node = this.#visit(address)
      if (node?.key === key && !node.targets.some(isOwn)) return
    }
  }

  /** Undefined where the address stands for no other. */
  #visit(address: Address): GraphNode | undefined {
    const edge = this.#look(address, this.#idOf(address))
    if (edge.kind !== 'child' || edge.node === undefined) return undefined
    if (!this.#known.has(edge.id)) this.#follow(edge.node)
    return edge.node
  }

  #follow(root: GraphNode): void {
    this.#push(root)
    for (let frame = this.#stack.at(-1); frame !== undefined; frame = this.#stack.at(-1)) {
      const text = frame.node.targets[frame.next++]
      if (text === undefined) this.#pop(frame)
      else this.#step(frame, text)
    }
  }

  #push(node: GraphNode): void {
    this.#open.set(node.id, this.#stack.length)
    this.#stack.push({ node, reach: { ...leaf, height: 1 }, next: 0, isInCircle: false })
  }

  #pop({ node, reach, isInCircle }: Frame): void {
    this.#stack.pop()
    this.#open.delete(node.id)
    const whole = this.#measure(node, reach)
    // Seen from elsewhere a circle would begin at another member, and be followed without an end.
    const isKnown = isInCircle || whole.height > 1 || whole.ways > smallList
    if (isKnown) this.#known.set(node.id, whole)
    const parent = this.#stack.at(-1)
    if (parent !== undefined) this.#add(parent, node.id, whole)
  }

  #step(frame: Frame, text: string): void {
    const edge = this.#edge(frame.node, text)
    switch (edge.kind) {
      case 'child': {
        const known = this.#known.get(edge.id)
        const place = this.#open.get(edge.id)
        if (known !== undefined) this.#add(frame, edge.id, known)
        else if (place !== undefined) this.#reportCircle(place)
        else if (edge.node !== undefined) this.#push(edge.node)
        break
      }
      case 'end':
        frame.reach = { ...frame.reach, ways: frame.reach.ways + 1, isReached: true }
        break
      case 'deferred':
        frame.reach = { ...frame.reach, isDeferred: true }
        break
      case 'refused':
        frame.reach = { ...frame.reach, refusal: frame.reach.refusal ?? edge.verdict }
        this.#take(frame.node, text, edge)
        break
      default:
        this.#take(frame.node, text, edge)
    }
  }

  #add(frame: Frame, id: string, child: Reach): void {
    const { reach, node, next } = frame
    const text = node.targets[next - 1] ?? ''
    const isDeeper = child.height + 1 > reach.height
    const isRefused = !child.isReached && !child.isDeferred && child.refusal !== undefined
    if (isRefused) this.#take(node, text, { kind: 'refused', verdict: child.refusal })
    frame.reach = {
      height: Math.max(reach.height, child.height + 1),
      ways: reach.ways + child.ways + 1,
      deepest: isDeeper ? { text, id } : reach.deepest,
      hasTooMany: reach.hasTooMany || child.hasTooMany,
      isReached: reach.isReached || child.isReached,
      isDeferred: reach.isDeferred || child.isDeferred,
      refusal: reach.refusal ?? child.refusal,
    }
  }

  /** The limits; what a member is too deep or too big for is reported there only. */
  #measure(node: GraphNode, reach: Reach): Reach {
    const { depth, addresses } = expansionLimits
    if (reach.height === depth + 1) {
      const names = this.#chain(node, reach).join(' → ')
      const reason = `aliases lead more than ${depth} deep: ${names}`
      this.#take(node, reach.deepest?.text, { kind: 'too-deep', reason })
    }
    if (reach.ways <= addresses || reach.hasTooMany || this.#count(node) <= addresses) return reach
    const reason = `${node.address.key} leads to more than ${addresses} addresses`
    this.#take(node, undefined, { kind: 'too-many', reason })
    return { ...reach, hasTooMany: true }
  }

  #chain(node: GraphNode, reach: Reach): string[] {
    const names = [nameOf(node)]
    for (let next = reach.deepest; next !== undefined; ) {
      names.push(nameOf(next))
      next = this.#known.get(next.id)?.deepest
    }
    return names
  }

  #reportCircle(place: number): void {
    const frames = this.#stack.slice(place)
    for (const frame of frames) frame.isInCircle = true
    const [first] = frames
    if (first === undefined) return
    const text = first.node.targets[first.next - 1]
    this.#take(first.node, text, { kind: 'circle', circle: frames.map(({ node }) => node) })
  }

  /** How many different addresses it leads to, as far as that matters. */
  #count(root: GraphNode): number {
    const seen = new Set([this.#idOf(root.address)])
    const waiting = [root.address]
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      for (const member of this.#membersOf(next)) {
        const id = this.#idOf(member)
        if (seen.has(id)) continue
        seen.add(id)
        waiting.push(member)
      }
      if (seen.size - 1 > expansionLimits.addresses) break
    }
    return seen.size - 1
  }

  #membersOf(address: Address): readonly Address[] {
    const id = this.#idOf(address)
    const known = this.#members.get(id)
    if (known !== undefined) return known
    const edge = this.#look(address, id)
    const node = edge.kind === 'child' ? edge.node : undefined
    const members = (node?.targets ?? []).flatMap((text) => this.#read(address, text) ?? [])
    this.#members.set(id, members)
    return members
  }

  /** A bare target that is the alias's own name means that name in the domain asked for. */
  #read(parent: Address, text: string): Address | undefined {
    return text === parent.user ? parent : parseAddress(text, this.#scope.naming)
  }

  #edge(node: GraphNode, text: string): Edge {
    const next = this.#read(node.address, text)
    if (next === undefined) return { kind: 'malformed', reason: `${text} is no address` }
    const id = this.#idOf(next)
    if (node.kind === 'alias' && id === node.id) return this.#place(next, `>${id}`)
    const isKnown = this.#known.has(id) || this.#open.has(id)
    return isKnown ? { kind: 'child', id, node: undefined } : this.#look(next, id)
  }

  /** What an address is, `id` its name in the graph. */
  #look(address: Address, id: string): Edge {
    const { naming, lookup } = this.#scope
    if (!naming.domains.has(address.domain)) {
      const written = formatAddress(address.local, address.domain)
      const reason = `${written} is outside, and there is no smarthost to send it to`
      return lookup.smarthost === undefined ? { kind: 'no-smarthost', reason } : { kind: 'end' }
    }
    if (!lookup.hasAliases) return this.#place(address, id)
    const targets = findTargets(address, climb(address, this.#scope), this.#scope, 0)
    if (targets === undefined) return this.#place(address, id)
    return { kind: 'child', id, node: { kind: 'alias', key: this.#asked, address, targets, id } }
  }

  #place(address: Address, id: string): Edge {
    const placement = placeMail(address, climb(address, this.#scope), this.#scope, 0)
    if (placement.kind !== 'forward') return endOf(address, placement)
    const targets = [placement.address]
    return { kind: 'child', id, node: { kind: 'forward', key: this.#asked, address, targets, id } }
  }

  #idOf(address: Address): string {
    return address.detail === undefined ? address.key : detailKey(address, this.#scope.naming)
  }
}

/** An alias that keeps a copy which is forwarded is two nodes of one name. */
export function nameOf({ id }: Pick<GraphNode, 'id'>): string {
  return id.startsWith('>') ? id.slice(1) : id
}

function endOf(address: Address, placement: Exclude<Placement, { kind: 'forward' }>): Edge {
  switch (placement.kind) {
    case 'at':
      return { kind: 'end' }
    case 'reject': {
      const { code, status, text } = placement
      return { kind: 'refused', verdict: { code, status, text } }
    }
    case 'defer':
      return { kind: 'deferred' }
    case 'unknown':
      return { kind: 'nowhere', reason: `${address.key} is nobody` }
    case 'error':
      return { kind: 'malformed', reason: placement.reason }
    default:
      return placement satisfies never
  }
}
