/** Writes the users of a run in the input form of every program. */
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const backends = ['fritz', 'ingrid', 'otto', 'paul']
const batch = 10_000

export function addressOf(number: number): string {
  return `user${String(number).padStart(8, '0')}@${number % 5 === 0 ? 'example.net' : 'example.com'}`
}

/** `share` of the users have another name at their back-end. */
export function writeUsers(folder: string, count: number, share: number): void {
  const files = ['user_map', 'popmap', 'cdb-input'].map((name) => openSync(join(folder, name), 'w'))
  // No program gets the users in order: the step is prime to every count.
  const step = 7_368_787
  for (let start = 0; start < count; start += batch) {
    const lines = ['', '', '']
    for (let number = start; number < Math.min(start + batch, count); number++) {
      const user = (number * step) % count
      const key = addressOf(user)
      const backend = backends[user % backends.length] ?? ''
      const value = (user % 1000) / 1000 < share ? `u${user}@${backend}` : backend
      lines[0] += `${key}\t${value}\n`
      lines[1] += `${key}:${value}\n`
      lines[2] += `+${key.length},${value.length}:${key}->${value}\n`
    }
    for (const [index, file] of files.entries()) writeSync(file, lines[index] ?? '')
  }
  writeSync(files[2] ?? 0, '\n')
  for (const file of files) closeSync(file)
  // Lets postmap run also where Postfix was never set up.
  writeFileSync(join(folder, 'main.cf'), 'mail_owner = daemon\nsetgid_group = mail\n')
  writeFileSync(join(folder, 'mailmux.yaml'), configText)
}

const configText = `hostname: mx1.example.com
domains: [example.com, example.net]
backends:
${backends.map((name, index) => `  ${name}: {host: 10.0.0.${index + 11}, smtp: 25, imap: 143}`).join('\n')}
map: {user_map: user_map, database: map.db}
state_dir: .
`
