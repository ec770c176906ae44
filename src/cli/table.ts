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
  const widths = all.map((row) => columns.map((_, index) => stringWidth(row[index] ?? '')))
  const most = columns.map((_, index) =>
    widths.reduce((widest, row) => Math.max(widest, row[index] ?? 0), 0),
  )
  return all.map((row, line) =>
    columns
      .map(({ align }, index) => {
        const cell = row[index] ?? ''
        const fill = ' '.repeat((most[index] ?? 0) - (widths[line]?.[index] ?? 0))
        return align === 'right' ? fill + cell : cell + fill
      })
      .join('  ')
      .trimEnd(),
  )
}
