/** A place in a text that a person wrote; lines and columns count from 1, columns in characters. */
export interface Position {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** `file:line:column`, the form that editors and terminals turn into a link. */
export function formatPosition(at: Position): string {
  return `${at.file}:${at.line}:${at.column}`
}
