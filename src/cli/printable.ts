/**
 * Text for a terminal. Names and lines of sources, and what is typed, may hold characters that a
 * terminal obeys or that hide or turn what stands beside them; they are shown as `\u001b`. Line ends,
 * tabs and our own colours stay.
 */

/** Control characters, bidirectional controls and separators of Unicode; colours end in `m`. */
const obeyed =
  // oxlint-disable-next-line no-control-regex -- control bytes are what is looked for
  /\u001b\[[\d;]*m|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

export function printable(text: string): string {
  return text.replace(obeyed, (found) => {
    if (found.length > 1) return found
    return `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
