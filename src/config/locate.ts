/** Where the keys and values of a YAML document stand in its text. */
import { type Document, isNode, isPair, isScalar, type LineCounter } from 'yaml'
import type { Position } from '../base/position.ts'
import type { Problem } from '../base/problem.ts'

/** A node of the file by its keys; numbers are places in a list. */
export type Path = readonly (string | number)[]
/** Where a key stands in the file; the value where `value` is true. */
export type Locate = (path: Path, value?: boolean) => Position

export function problem(code: string, message: string, at: Position, hint?: string): Problem {
  return { severity: 'error', code, message, at, ...(hint === undefined ? {} : { hint }) }
}

export function makeLocate(document: Document, lines: LineCounter, file: string): Locate {
  return (path, value = false) => {
    const parent = document.getIn(path.slice(0, -1), true)
    const last = path.at(-1)
    const items: readonly unknown[] =
      isNode(parent) && 'items' in parent ? (parent.items as readonly unknown[]) : []
    const pair = items.find(
      (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(last),
    )
    const key = isPair(pair) && isNode(pair.key) ? pair.key : undefined
    const own = path.length === 0 ? document.contents : document.getIn(path, true)
    const node = value || key === undefined ? own : key
    const offset = isNode(node) ? (node.range?.[0] ?? 0) : 0
    const { line, col } = lines.linePos(offset)
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) }
  }
}
