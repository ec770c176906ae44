/**
 * Text of mailmux.yaml → config, or every problem at once with file:line:column. Pure: it opens no
 * file; relative paths are taken from the folder of `file`.
 */
import { Errors } from 'typebox/schema'
import { Settings } from 'typebox/system'
import { type Document, LineCounter, parseDocument } from 'yaml'
import type { Position } from '../base/position.ts'
import type { Problem } from '../base/problem.ts'
import { checkConfig } from './check.ts'
import type { Config } from './config.ts'
import { type Locate, makeLocate, type Path, problem } from './locate.ts'
import { nearest } from '../base/nearest.ts'
import { normalizeConfig } from './normalize.ts'
import { configSchema, type RawConfig } from './schema.ts'
import {
  isOfOtherBranch,
  type SchemaError,
  type SchemaNode,
  schemaAt,
  toPath,
  valueAt,
  withKeys,
} from './schema-node.ts'

export type ParsedConfig =
  | { readonly config: Config; readonly warnings: readonly Problem[] }
  | { readonly problems: readonly Problem[] }

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
  const raw = valuesOf(document)
  if (raw instanceof Error) {
    const at = { file, line: 1, column: 1 }
    return { problems: [problem('yaml-syntax', raw.message, at)] }
  }
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
  const usable = problems.length === 0 ? (raw as RawConfig) : withoutRefused(raw)
  if (usable === undefined) return { problems: inOrder(problems) }
  const config = normalizeConfig(usable, file, locate)
  // A back-end may lack a port only because the one it has was refused.
  const checked = checkConfig(usable, config, locate).filter(
    ({ code }) => problems.length === 0 || code !== 'no-port',
  )
  const found = inOrder([...problems, ...checked])
  if (found.some(({ severity }) => severity === 'error')) return { problems: found }
  return { config, warnings: [...found, ...notYet(raw, configSchema, [], locate)] }
}

/** An alias that nothing stands behind, or a few that stand for millions, are found only here. */
function valuesOf(document: Document): unknown {
  try {
    return document.toJS()
  } catch (error) {
    return error
  }
}

/** As a reader meets them. */
function inOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted(
    ({ at: left }, { at: right }) => left.line - right.line || left.column - right.column,
  )
}

function schemaProblems(raw: object, locate: Locate): Problem[] {
  // The library stops at eight by itself.
  Settings.Set({ maxErrors: 1000 })
  const [valid, errors] = Errors(configSchema, raw)
  if (valid) return []
  const problems = new Map<string, Problem>()
  for (const error of errors as SchemaError[]) {
    if (isOfOtherBranch(error, raw)) continue
    for (const found of describe(error, raw, locate)) {
      problems.set(`${found.at.line}:${found.at.column}:${found.code}`, found)
    }
  }
  const whole = problem('config-shape', 'does not fit the schema', locate([]))
  return problems.size === 0 ? [whole] : [...problems.values()]
}

/** The file without what the schema refused, so that the rest can be checked all the same. */
function withoutRefused(raw: object): RawConfig | undefined {
  const rest = structuredClone(raw)
  // What is left of a mapping can lack what it needs: then it goes too, and so on upwards.
  for (let depth = 0; depth < 8; depth++) {
    const [valid, errors] = Errors(configSchema, rest)
    if (valid) return rest as RawConfig
    for (const { keyword, instancePath } of errors as SchemaError[]) {
      if (keyword !== 'additionalProperties') remove(rest, toPath(instancePath))
    }
  }
  return undefined
}

function remove(root: object, path: Path): void {
  const parent = valueAt(root, path.slice(0, -1))
  const key = path.at(-1)
  if (parent === null || typeof parent !== 'object' || key === undefined) return
  // Places in a list are kept, since later findings count them; the empty list is what remains valid.
  if (Array.isArray(parent)) remove(root, path.slice(0, -1))
  else Reflect.deleteProperty(parent, key)
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
    case 'pattern':
      return [problem('no-choice', `${prefix}must be ${schema?.form ?? 'of another form'}`, at)]
    case 'enum':
      return [wrongWord(prefix, valueAt(raw, path), schema?.enum ?? [], at)]
    default: {
      const wanted = schema?.form ?? (error.keyword === 'type' ? typeOf(error) : undefined)
      const what = wanted === undefined ? error.message : `must be ${wanted}`
      return [problem('bad-value', `${prefix}${what}`, at)]
    }
  }
}

/** Types of JSON Schema as they are written in YAML. */
const typeNames: Readonly<Record<string, string>> = {
  array: 'a list',
  object: 'a group of keys',
  string: 'text',
  boolean: 'true or false',
  integer: 'a whole number',
  number: 'a number',
}

function typeOf(error: SchemaError): string | undefined {
  const { type } = error.params as { type: string | readonly string[] }
  return typeof type === 'string' ? typeNames[type] : undefined
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
  if (key === 'password' && known.includes('password_file')) {
    const hint = 'write it into a file, and name that: password_file'
    return problem(
      'secret-in-config',
      `${path.join('.')}: no secret is kept here`,
      locate(path),
      hint,
    )
  }
  const meant = nearest(key, known)
  const hint = meant === undefined ? `known here: ${known.join(', ')}` : `did you mean ${meant}?`
  return problem('unknown-key', `${path.join('.')}: unknown key`, locate(path), hint)
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
