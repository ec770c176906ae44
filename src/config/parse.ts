/**
 * Text of mailmux.yaml → config, or every problem at once with file:line:column. Pure: it opens no
 * file; relative paths are taken from the folder of `file`.
 */
import { dirname } from 'node:path'
import { Errors } from 'typebox/schema'
import { LineCounter, parseDocument } from 'yaml'
import type { Position } from '../base/position.ts'
import type { Problem } from '../base/problem.ts'
import { checkConfig } from './check.ts'
import type { Config } from './config.ts'
import { type Locate, makeLocate, type Path, problem } from './locate.ts'
import { nearest } from './nearest.ts'
import { normalizeConfig } from './normalize.ts'
import { configSchema, type RawConfig } from './schema.ts'

export type ParsedConfig =
  | { readonly config: Config; readonly warnings: readonly Problem[] }
  | { readonly problems: readonly Problem[] }

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>
  readonly items?: SchemaNode
  readonly anyOf?: readonly SchemaNode[]
  readonly enum?: readonly string[]
  readonly description?: string
  readonly notYet?: boolean
  readonly type?: string
}

/** Reads the text of a config file; `file` is its absolute path. Nothing is thrown. */
export function parseConfig(text: string, file: string): ParsedConfig {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const syntax = document.errors.map((error): Problem => {
    const { line, col } = lines.linePos(error.pos[0])
    return problem('yaml-syntax', error.message, { file, line, column: col })
  })
  if (syntax.length > 0) return { problems: syntax }
  const locate = makeLocate(document, lines, file)
  const raw: unknown = document.toJS()
  if (raw === null || typeof raw !== 'object') {
    const at = { file, line: 1, column: 1 }
    return {
      problems: [
        problem(
          'config-shape',
          'the file holds no settings',
          at,
          'start from the example in docs/config.md',
        ),
      ],
    }
  }
  const problems = schemaProblems(raw, locate)
  if (problems.length > 0) return { problems }
  const config = normalizeConfig(raw as RawConfig, file, dirname(file))
  const found = checkConfig(raw as RawConfig, config, locate)
  if (found.some(({ severity }) => severity === 'error')) return { problems: found }
  return { config, warnings: [...found, ...notYet(raw, configSchema, [], locate)] }
}

interface SchemaError {
  readonly keyword: string
  readonly instancePath: string
  readonly schemaPath: string
  readonly params: object
  readonly message: string
}

function schemaProblems(raw: object, locate: Locate): Problem[] {
  const [valid, errors] = Errors(configSchema, raw)
  if (valid) return []
  const list = errors as SchemaError[]
  // A failed choice is reported by `anyOf` too: its branches' complaints would only confuse.
  const choices = new Set(
    list.filter(({ keyword }) => keyword === 'anyOf').map(({ instancePath }) => instancePath),
  )
  const problems = new Map<string, Problem>()
  for (const error of list) {
    const inChoice =
      /\/anyOf\/\d/.test(error.schemaPath) && choices.has(choiceAbove(error, choices))
    if (inChoice && error.keyword !== 'additionalProperties') continue
    for (const found of describe(error, raw, locate)) {
      problems.set(`${found.at.line}:${found.at.column}:${found.code}`, found)
    }
  }
  return dropMasked([...problems.values()])
}

/** An unknown key inside a choice is the better word than "must be a port, or {port, tls}". */
function dropMasked(problems: readonly Problem[]): Problem[] {
  const unknown = problems.filter(({ code }) => code === 'unknown-key')
  return problems.filter(
    ({ code, at }) => code !== 'no-choice' || !unknown.some((other) => other.at.line === at.line),
  )
}

function choiceAbove({ instancePath }: SchemaError, choices: ReadonlySet<string>): string {
  for (let path = instancePath; path !== ''; path = path.slice(0, path.lastIndexOf('/'))) {
    if (choices.has(path)) return path
  }
  return ''
}

function toPath(instancePath: string): Path {
  return instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part))
}

function describe(error: SchemaError, raw: object, locate: Locate): Problem[] {
  const path = toPath(error.instancePath)
  const at = locate(path, true)
  const dotted = path.join('.')
  const prefix = dotted === '' ? '' : `${dotted}: `
  const schema = schemaAt(path)
  switch (error.keyword) {
    case 'additionalProperties':
      return (error.params as { additionalProperties: readonly string[] }).additionalProperties.map(
        (key) => unknownKey([...path, key], schema, locate),
      )
    case 'boolean':
      return []
    case 'required':
      return (error.params as { requiredProperties: readonly string[] }).requiredProperties.map(
        (key) =>
          problem(
            'missing-key',
            `${prefix}${key} is missing`,
            at,
            schema?.properties?.[key]?.description,
          ),
      )
    case 'anyOf':
      return [
        problem(
          'no-choice',
          `${prefix}must be ${schema?.description ?? 'one of the forms known'}`,
          at,
        ),
      ]
    case 'enum':
      return [wrongWord(prefix, valueAt(raw, path), schema?.enum ?? [], at)]
    case 'pattern':
      return [
        problem('bad-form', `${prefix}must be ${schema?.description ?? 'of another form'}`, at),
      ]
    default:
      return [problem('bad-value', `${prefix}${error.message}`, at)]
  }
}

function wrongWord(
  prefix: string,
  value: unknown,
  words: readonly string[],
  at: Position,
): Problem {
  const meant = typeof value === 'string' ? nearest(value, words) : undefined
  const hint = meant === undefined ? undefined : `did you mean ${meant}?`
  return problem('bad-word', `${prefix}must be one of ${words.join(', ')}`, at, hint)
}

function unknownKey(path: Path, schema: SchemaNode | undefined, locate: Locate): Problem {
  const key = String(path.at(-1))
  if (schema?.patternProperties !== undefined) {
    return problem(
      'bad-name',
      `${path.join('.')}: a name begins with a letter or digit and has letters, digits, '.', '_' and '-' only`,
      locate(path),
    )
  }
  const known = Object.keys(schema?.properties ?? {})
  const meant = nearest(key, known)
  const hint = meant === undefined ? `known here: ${known.join(', ')}` : `did you mean ${meant}?`
  return problem('unknown-key', `${path.join('.')}: unknown key`, locate(path), hint)
}

function valueAt(raw: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      value === null || typeof value !== 'object' ? undefined : Reflect.get(value, key),
    raw,
  )
}

/** The part of the schema that speaks of a path; of a choice, the branch with keys. */
function schemaAt(path: Path): SchemaNode | undefined {
  let node: SchemaNode | undefined = configSchema
  for (const key of path) {
    const branch: SchemaNode | undefined = withKeys(node)
    node =
      typeof key === 'number'
        ? branch?.items
        : (branch?.properties?.[key] ?? Object.values(branch?.patternProperties ?? {})[0])
  }
  return node?.description === undefined
    ? withKeys(node)
    : { ...withKeys(node), description: node.description }
}

function withKeys(node: SchemaNode | undefined): SchemaNode | undefined {
  return node?.anyOf?.find(({ type }) => type === 'object') ?? node
}

function notYet(
  value: unknown,
  schema: SchemaNode | undefined,
  path: Path,
  locate: Locate,
): Problem[] {
  if (schema?.notYet === true) {
    const message = `${path.join('.')}: has no effect in this version`
    return [{ severity: 'warning', code: 'not-yet', message, at: locate(path) }]
  }
  const node = withKeys(schema)
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return []
  return Object.entries(value).flatMap(([key, inner]) =>
    notYet(
      inner,
      node?.properties?.[key] ?? Object.values(node?.patternProperties ?? {})[0],
      [...path, key],
      locate,
    ),
  )
}
