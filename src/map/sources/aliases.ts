/**
 * Sendmail aliases(5): `name: target, target`, continued by lines that begin with a blank; `#`
 * begins a comment line. Included files are read at once, since a front end has them only here.
 */
import { dirname, isAbsolute, join } from 'node:path'
import type { Position } from '../../base/position.ts'
import { formatPosition } from '../../base/position.ts'
import { isCatchAll, parseKey } from '../key.ts'
import { parseTarget, type Target } from './alias-targets.ts'
import { divideAliasLine, divideTargets, isIgnored } from './line-grammar.ts'
import { forEachLine } from './read-lines.ts'
import { positionIn, quote, type SourceContext, type SourceFile } from './source-context.ts'

export interface Alias {
  readonly key: string
  readonly at: Position
  readonly file: SourceFile
  readonly targets: readonly Target[]
}

/** What a target has named that must be read yet. */
interface Include {
  readonly path: string
  readonly at: Position
}

interface OpenAlias extends Omit<Alias, 'targets'> {
  readonly targets: Target[]
  readonly includes: Include[]
  /** A target was refused, and has been reported. */
  hasFault: boolean
}

const includeDepthLimit = 8

export class AliasReader {
  readonly aliases = new Map<string, Alias>()
  readonly #context: SourceContext
  readonly #open: OpenAlias[] = []

  constructor(context: SourceContext) {
    this.#context = context
  }

  async readFile(file: SourceFile): Promise<void> {
    let current: OpenAlias | undefined
    await forEachLine(file, this.#context, (text, line) => {
      if (isIgnored(text)) return
      const isContinued = /^\s/.test(text)
      if (!isContinued) current = this.#begin(file, text, line)
      else if (current === undefined) this.#refuseLooseLine(file, line)
      else this.#addTargets(current, text, positionIn(file, line))
    })
    for (const alias of this.#open.splice(0)) await this.#close(alias)
  }

  /** Takes a row of a database: a name and its targets, or one of them. `endRows` follows. */
  takeRow(file: SourceFile, row: number, name: string, targets: string): void {
    const alias = this.#begin(file, `${name}: ${targets}`, row)
    if (alias === undefined || alias.includes.length === 0) return
    const hint = 'only text sources include files'
    const at = positionIn(file, row)
    this.#context.problems.error('bad-target', at, 'a row includes no file', hint)
    alias.includes.length = 0
    alias.hasFault = true
  }

  /** Makes one alias of all rows with a name; a database has no order, so targets get one. */
  async endRows(): Promise<void> {
    for (const [first, ...others] of Map.groupBy(this.#open.splice(0), ({ key }) => key).values()) {
      if (first === undefined) continue
      const all = [first, ...others]
      const targets = all.flatMap((alias) => alias.targets)
      const hasFault = all.some((alias) => alias.hasFault)
      targets.sort((one, other) => (one.text < other.text ? -1 : 1))
      await this.#close({ ...first, targets, hasFault })
    }
  }

  #refuseLooseLine(file: SourceFile, line: number): void {
    const at = positionIn(file, line)
    const what = 'the line continues no alias'
    this.#context.problems.error('indented', at, what, 'a name begins in the first column')
  }

  #begin(file: SourceFile, text: string, line: number): OpenAlias | undefined {
    const { problems, naming } = this.#context
    const at = positionIn(file, line)
    const divided = divideAliasLine(text)
    if (divided === undefined) {
      const what = `${quote(text)} is no alias`
      problems.error('bad-alias', at, what, 'write name: target, target')
      // Its continuation lines belong to nothing, and are not reported again.
      return { key: '', at, file, targets: [], includes: [], hasFault: false }
    }
    const key = parseKey(divided.name, naming)
    if ('refused' in key) problems.error('bad-key', at, key.refused, key.hint)
    else if (isCatchAll(key.key)) {
      const hint = 'write it into user_map; %1 is the name there'
      problems.error('bad-key', at, 'an alias has a name', hint)
    } else if (!naming.domains.has(key.address.domain)) {
      const what = `${key.address.domain} is no domain of ours: the alias has no effect`
      problems.warn('foreign-key', at, what, 'add it to domains in the config, or remove the line')
    } else this.#context.usage.noteKey(key)
    const alias = {
      key: 'key' in key ? key.key : '',
      at,
      file,
      targets: [],
      includes: [],
      hasFault: false,
    }
    this.#open.push(alias)
    this.#addTargets(alias, text.slice(divided.column - 1), { ...at, column: divided.column })
    return alias
  }

  #addTargets(alias: OpenAlias, text: string, at: Position): void {
    for (const token of divideTargets(text, at.column)) {
      const own = positionIn(alias.file, at.line, token.column)
      const parsed = parseTarget(token.text, this.#context)
      if ('target' in parsed) alias.targets.push({ text: parsed.target, at: own })
      else if ('include' in parsed) alias.includes.push({ path: parsed.include, at: own })
      else {
        alias.hasFault = true
        this.#context.problems.error(parsed.code, own, parsed.refused, parsed.hint)
      }
    }
  }

  async #close(alias: OpenAlias): Promise<void> {
    const { key, at, file, includes } = alias
    const targets = [...alias.targets]
    for (const include of includes) {
      targets.push(...(await this.#include(include, dirname(file.path), 0)))
    }
    if (key === '') return
    const before = this.aliases.get(key)
    if (before !== undefined) return this.#refuseDuplicate(before, { ...alias, targets })
    if (targets.length + includes.length === 0 && !alias.hasFault) {
      const what = 'the alias has no target'
      this.#context.problems.error('no-target', at, what, 'name one, or remove the alias')
    }
    this.#context.lookalikes.note(key, at)
    this.aliases.set(key, { key, at, file, targets })
  }

  #refuseDuplicate(before: Alias, again: Alias): void {
    const { problems } = this.#context
    const first = formatPosition(before.at)
    const isSame = textOf(before) === textOf(again)
    if (isSame && before.file.hasRows !== again.file.hasRows) {
      const what = `the alias is in text and in a database: ${first}`
      problems.error('duplicate-key', again.at, what, 'keep one of the two')
    } else if (isSame) {
      problems.warn('duplicate-key', again.at, `the alias is there already: ${first}`, 'remove one')
    } else {
      const what = `the alias has other targets here: ${first}`
      problems.error('duplicate-key', again.at, what, 'keep one of the two')
    }
  }

  async #include({ path, at }: Include, folder: string, depth: number): Promise<Target[]> {
    const { problems } = this.#context
    if (depth === includeDepthLimit) {
      const what = `files include each other more than ${includeDepthLimit} deep`
      problems.error('include-depth', at, what, 'remove the circle')
      return []
    }
    const file = { path: isAbsolute(path) ? path : join(folder, path), number: 0 }
    const before = problems.errors
    const found: Target[] = []
    const includes: Include[] = []
    await forEachLine(file, this.#context, (text, line) => {
      if (isIgnored(text)) return
      for (const token of divideTargets(text, 1)) {
        const own = positionIn(file, line, token.column)
        const parsed = parseTarget(token.text, this.#context)
        if ('target' in parsed) found.push({ text: parsed.target, at: own })
        else if ('include' in parsed) includes.push({ path: parsed.include, at: own })
        else problems.error(parsed.code, own, parsed.refused, parsed.hint)
      }
    })
    if (problems.errors > before) {
      problems.error('bad-include', at, `${path} has errors, or cannot be read`)
    }
    for (const include of includes) {
      found.push(...(await this.#include(include, dirname(file.path), depth + 1)))
    }
    return found
  }
}

function textOf({ targets }: Alias): string {
  return targets
    .map(({ text }) => text)
    .sort()
    .join()
}
