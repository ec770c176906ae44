/** Colours for a person at a terminal; plain text for files, pipes and NO_COLOR. */
import { Chalk, type ChalkInstance } from 'chalk'

/** Chalk itself looks at FORCE_COLOR, but would colour where only the other stream is a terminal. */
function styleFor(stream: NodeJS.WriteStream): ChalkInstance {
  const plain =
    !stream.isTTY || (process.env['NO_COLOR'] ?? '') !== '' || process.env['TERM'] === 'dumb'
  return new Chalk(plain ? { level: 0 } : {})
}

/** For text on stdout. */
export const style = styleFor(process.stdout)
/** For text on stderr. */
export const errorStyle = styleFor(process.stderr)
