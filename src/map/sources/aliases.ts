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
  /** As they are written: what a file includes stands where the file is named. */
  readonly members: (Target | Include)[]
  /** A target was refused, and has been reported. */
  hasFault: boolean
}

/** Where an alias is in the files that it includes. */
interface Including {
  readonly folder: string
  readonly depth: number
  /** Files of this alias; true while what they include is read. */
  readonly read: Map<string, boolean>
}

/** What is wrong with `@example.com: ann`, and what to do instead. */
export const noAliasOfDomain = [
  'an alias has a name',
  'write it into user_map; %1 is the name there',
] as const

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
    if (alias === undefined || alias.members.every((member) => 'text' in member)) return
    const hint = 'only text sources include files'
    const at = positionIn(file, row)
    this.#context.problems.error('bad-target', at, 'a row includes no file', hint)
    alias.members.length = 0
    alias.hasFault = true
  }

  /** Makes one alias of all rows with a name; a database has no order, so targets get one. */
  async endRows(): Promise<void> {
    for (const [first, ...others] of Map.groupBy(this.#open.splice(0), ({ key }) => key).values()) {
      if (first === undefined) continue
      const all = [first, ...others]
      const members = all.flatMap((alias) => alias.members.filter((member) => 'text' in member))
      const hasFault = all.some((alias) => alias.hasFault)
      members.sort((one, other) => (one.text < other.text ? -1 : 1))
      await this.#close({ ...first, members, hasFault })
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
      return { key: '', at, file, members: [], hasFault: false }
    }
    const key = parseKey(divided.name, naming)
    if ('refused' in key) problems.error('bad-key', at, key.refused, key.hint)
    else if (isCatchAll(key.key)) problems.error('bad-key', at, ...noAliasOfDomain)
    else if (!naming.domains.has(key.address.domain)) {
      const what = `${key.address.domain} is no domain of ours: the alias has no effect`
      problems.warn('foreign-key', at, what, 'add it to domains in the config, or remove the line')
    } else this.#context.usage.noteKey(key)
    const alias = { key: 'key' in key ? key.key : '', at, file, members: [], hasFault: false }
    this.#open.push(alias)
    this.#addTargets(alias, text.slice(divided.column - 1), { ...at, column: divided.column })
    return alias
  }

  #addTargets(alias: OpenAlias, text: string, at: Position): void {
    for (const token of divideTargets(text, at.column)) {
      const own = positionIn(alias.file, at.line, token.column)
      const parsed = parseTarget(token.text, this.#context)
      if ('target' in parsed) alias.members.push({ text: parsed.target, at: own })
      else if ('include' in parsed) alias.members.push({ path: parsed.include, at: own })
      else {
        alias.hasFault = true
        this.#context.problems.error(parsed.code, own, parsed.refused, parsed.hint)
      }
    }
  }

  async #close(alias: OpenAlias): Promise<void> {
    const { key, at, file, members } = alias
    const from = { folder: dirname(file.path), depth: 0, read: new Map<string, boolean>() }
    const targets = await this.#includeAll(members, from)
    if (key === '') return
    const before = this.aliases.get(key)
    if (before !== undefined) return this.#refuseDuplicate(before, { ...alias, targets })
    if (members.length === 0 && !alias.hasFault) {
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

  async #includeAll(members: readonly (Target | Include)[], from: Including): Promise<Target[]> {
    const targets: Target[] = []
    for (const member of members) {
      if ('text' in member) targets.push(member)
      // One by one: a file may have more than a call takes arguments.
      else for (const one of await this.#include(member, from)) targets.push(one)
    }
    return targets
  }

  async #include({ path, at }: Include, { folder, depth, read }: Including): Promise<Target[]> {
    const { problems } = this.#context
    const whole = isAbsolute(path) ? path : join(folder, path)
    const isOpen = read.get(whole)
    if (isOpen === true || depth === includeDepthLimit) {
      const how = isOpen === true ? 'in a circle' : `more than ${includeDepthLimit} deep`
      problems.error('include-depth', at, `files include each other ${how}`, 'remove the circle')
      return []
    }
    // What is in it counts once: a file is read once for an alias, however often it is named.
    if (isOpen !== undefined) return []
    read.set(whole, true)
    const before = problems.errors
    const members = await this.#readMembers({ path: whole, number: 0 })
    if (problems.errors > before) {
      problems.error('bad-include', at, `${path} has errors, or cannot be read`)
    }
    const below = { folder: dirname(whole), depth: depth + 1, read }
    const targets = await this.#includeAll(members, below)
    read.set(whole, false)
    return targets
  }

  async #readMembers(file: SourceFile): Promise<(Target | Include)[]> {
    const members: (Target | Include)[] = []
    await forEachLine(file, this.#context, (text, line) => {
      if (isIgnored(text)) return
      for (const token of divideTargets(text, 1)) {
        const own = positionIn(file, line, token.column)
        const parsed = parseTarget(token.text, this.#context)
        if ('target' in parsed) members.push({ text: parsed.target, at: own })
        else if ('include' in parsed) members.push({ path: parsed.include, at: own })
        else this.#context.problems.error(parsed.code, own, parsed.refused, parsed.hint)
      }
    })
    return members
  }
}

function textOf({ targets }: Alias): string {
  return targets
    .map(({ text }) => text)
    .sort()
    .join()
}
