/** What a word that names no command is answered with: the nearest that does, and wrong usage's exit. */
import type { Hook } from '@oclif/core'
import { nearest } from '../base/nearest.ts'
import { printable } from './printable.ts'
import { errorStyle } from './style.ts'

const wrongUsage = 2

/** oclif's hook of that name. */
export const commandNotFound: Hook.CommandNotFound = ({ id, config, argv = [] }) => {
  const typed = id.replaceAll(':', ' ')
  const known = config.commands.filter(({ hidden }) => !hidden).map((one) => one.id)
  const meant = nearestOf(id.split(':'), known)?.replaceAll(':', ' ')
  const message = `no such command: ${typed}`
  const hint = `${meant === undefined ? '' : `did you mean ${meant}? else `}see mailmux help`
  if (argv.includes('--json')) {
    process.stdout.write(`${JSON.stringify({ error: { code: 'USAGE', message, hint } })}\n`)
  } else {
    process.stderr.write(printable(`${errorStyle.red('mailmux:')} ${message}; ${hint}\n`))
  }
  process.exit(wrongUsage)
}

/** Words at the end may be the command's arguments. */
function nearestOf(words: readonly string[], known: readonly string[]): string | undefined {
  if (words.length === 0) return undefined
  return nearest(words.join(':'), known) ?? nearestOf(words.slice(0, -1), known)
}
