/** Objects of a text: one a line, or the elements of one list. */
import type { Position } from '../../base/position.ts'
import { entryLines, type Findings, type ParseInput } from './map-format.ts'

export interface FoundObject {
  readonly value: Readonly<Record<string, unknown>>
  readonly at: Position
}

export function* jsonObjects(
  input: ParseInput,
  found: Findings,
): Generator<FoundObject, void, undefined> {
  const at = { file: input.file, line: 1, column: 1 }
  if (input.text.trimStart().startsWith('[')) {
    const list = parsed(input.text)
    if (!Array.isArray(list)) found.note({ text: '', at }, 'it is no JSON list')
    else {
      for (const value of list as unknown[]) {
        if (isObject(value)) yield { value, at }
        else found.note({ text: JSON.stringify(value), at }, 'it is no object')
      }
    }
    return
  }
  for (const line of entryLines(input)) {
    const value = parsed(line.text)
    if (isObject(value)) yield { value, at: line.at }
    else found.note(line, 'it is no JSON object')
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
