/** Rows of cells as aligned columns. */
import stringWidth from 'string-width'

export interface Column {
  readonly title: string
  /** Numbers stand to the right. */
  readonly align?: 'left' | 'right'
}

/** Lines of text, two spaces between columns, no trailing blanks; titles first where any is not ''. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string[] {
  const titles = columns.map(({ title }) => title)
  const all = titles.some((title) => title !== '') ? [titles, ...rows] : rows
  const widths = columns.map((_, index) =>
    Math.max(0, ...all.map((row) => stringWidth(row[index] ?? ''))),
  )
  return all.map((row) =>
    columns
      .map(({ align }, index) => {
        const cell = row[index] ?? ''
        const fill = ' '.repeat(Math.max(0, (widths[index] ?? 0) - stringWidth(cell)))
        return align === 'right' ? fill + cell : cell + fill
      })
      .join('  ')
      .trimEnd(),
  )
}
