/** The schema as a tree: which part of it speaks of a key, and which branch of a choice was meant. */
import type { Path } from './locate.ts'
import { configSchema } from './schema.ts'

export interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>
  readonly items?: SchemaNode
  readonly anyOf?: readonly SchemaNode[]
  readonly enum?: readonly string[]
  readonly description?: string
  readonly form?: string
  readonly notYet?: boolean
  readonly type?: string
}

export interface SchemaError {
  readonly keyword: string
  readonly instancePath: string
  readonly schemaPath: string
  readonly params: object
  readonly message: string
}

export function toPath(pointer: string): Path {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part))
}

export function valueAt(raw: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      value === null || typeof value !== 'object' ? undefined : Reflect.get(value, key),
    raw,
  )
}

/**
 * A choice is reported by each of its branches and once as a whole. Whoever wrote a mapping meant the
 * branch with keys, whoever wrote a list the one with items, and the findings of that branch are the
 * better words; otherwise the choice as a whole is.
 */
export function isOfOtherBranch(error: SchemaError, raw: object): boolean {
  const path = toPath(error.instancePath)
  const steps = toPath(error.schemaPath.slice(1))
  let node: SchemaNode | undefined = configSchema
  let depth = 0
  for (let index = 0; index < steps.length; index++) {
    const step = steps[index]
    const below: unknown = Reflect.get(node ?? {}, step ?? '')
    if (step === 'anyOf') {
      const meant = branchOf(node, valueAt(raw, path.slice(0, depth)))
      if (steps[++index] !== meant) return true
      node = node?.anyOf?.[meant]
    } else if (step === 'properties' || step === 'patternProperties') {
      node = valueAt(below, [steps[++index] ?? '']) as SchemaNode | undefined
      depth++
    } else if (step === 'items') {
      node = below as SchemaNode
      depth++
    }
  }
  return error.keyword === 'anyOf' && branchOf(node, valueAt(raw, path)) !== -1
}

/** Which branch of a choice a mapping or a list belongs to; -1 where it has none for it. */
function branchOf(node: SchemaNode | undefined, value: unknown): number {
  if (value === null || typeof value !== 'object') return -1
  const wanted = Array.isArray(value) ? 'array' : 'object'
  return node?.anyOf?.findIndex(({ type }) => type === wanted) ?? -1
}

/** The part of the schema that speaks of a path; of a choice, the branch with keys. */
export function schemaAt(path: Path): SchemaNode | undefined {
  let node: SchemaNode | undefined = configSchema
  for (const key of path) {
    const branch: SchemaNode | undefined = withKeys(node)
    node =
      typeof key === 'number'
        ? (node?.anyOf?.find(({ type }) => type === 'array') ?? node)?.items
        : (branch?.properties?.[key] ?? Object.values(branch?.patternProperties ?? {})[0])
  }
  const { form, description } = node ?? {}
  return { ...withKeys(node), ...(form && { form }), ...(description && { description }) }
}

export function withKeys(node: SchemaNode | undefined): SchemaNode | undefined {
  return node?.anyOf?.find(({ type }) => type === 'object') ?? node
}
