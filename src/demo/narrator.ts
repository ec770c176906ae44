/** How the demo tells its story; the command decides what it looks like. */
export interface Narrator {
  /** The start of a chapter. */
  chapter(title: string): void
  say(...lines: readonly string[]): void
  /** Aligned columns, indented. */
  table(rows: readonly (readonly string[])[]): void
  /** Something that one could type. */
  command(text: string, what: string): void
}
