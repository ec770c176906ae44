/** Sessions as rows of a table that fits a terminal of 80 columns, if names and addresses let it. */
import type { SessionView } from './session-messages.ts'
import { formatDuration } from './status-text.ts'

export const whoColumns = [
  { title: 'USER' },
  { title: 'SERVICE' },
  { title: 'BACK-END' },
  { title: 'CLIENT' },
  { title: 'FOR', align: 'right' },
  { title: 'IN', align: 'right' },
  { title: 'OUT', align: 'right' },
] as const

const lineChars = 80
const gapChars = 2
/** A name is not cut shorter than this. */
const leastUserChars = 20

/** One row for each. A user's name is cut where the others leave too little room. */
export function whoRows(sessions: readonly SessionView[]): string[][] {
  const rows = sessions.map(cellsOf)
  const others = whoColumns
    .slice(1)
    .map(({ title }, index) =>
      rows.reduce((most, row) => Math.max(most, row[index + 1]?.length ?? 0), title.length),
    )
  const taken = others.reduce((sum, chars) => sum + gapChars + chars, 0)
  const userChars = Math.max(leastUserChars, lineChars - taken)
  return rows.map(([user = '', ...cells]) => [cut(user, userChars), ...cells])
}

function cellsOf(session: SessionView): string[] {
  const { user = '-', service, state, backend = '-', peer } = session
  const { duration_ms: duration, bytes_in: bytesIn, bytes_out: bytesOut } = session
  return [
    user,
    service,
    state === 'held' ? '(held)' : backend,
    peer.slice(0, peer.lastIndexOf(':')).replace(/^\[|\]$/g, ''),
    formatDuration(duration).replace(' ', ''),
    formatBytes(bytesIn),
    formatBytes(bytesOut),
  ]
}

function cut(text: string, chars: number): string {
  return text.length <= chars ? text : `${text.slice(0, chars - 1)}…`
}

/** `0`, `999`, `1.5K`, `12M`: at most four characters up to terabytes. */
export function formatBytes(bytes: number): string {
  let [amount, unit] = [bytes, '']
  for (const next of ['K', 'M', 'G', 'T', 'P']) {
    if (amount < 1000) break
    amount /= 1024
    unit = next
  }
  if (unit === '') return String(bytes)
  return `${amount < 9.95 ? amount.toFixed(1) : Math.min(999, Math.round(amount))}${unit}`
}
