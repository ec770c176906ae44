/** Rounds of programs that manage scripts: sieve-connect, and sievelib of Python. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { debianPython } from './tools.ts'
import { bigScript } from './sieve-round.ts'
import { brief, password, type Twin } from './twin.ts'

const steps = [
  'upload up.sieve big',
  'upload bad.sieve bad',
  'check bad.sieve',
  'list',
  'activate big',
  'list',
  'download big down.sieve',
  'delete big',
  'deactivate',
  'delete big',
  'list',
]

export async function sieveConnectRound(twin: Twin): Promise<unknown> {
  twin.write('up.sieve', bigScript)
  twin.write('bad.sieve', 'this is no\r\nscript;\r\n')
  twin.write('password', `${password}\n`)
  twin.write('steps', `${steps.join('\n')}\n`)
  const server = ['--server', 'localhost', '--port', String(twin.ports.sieve), '--4']
  const tls = ['--tlscafile', twin.caFile, '--noclearauth', '--noclearchan']
  const login = ['--user', twin.login, '--passwordfd', '3', '--exec', 'steps', '--debug']
  const run = 'exec sieve-connect "$@" 3<password'
  const { stdout, stderr } = await twin.attempt('sh', '-c', run, 'sh', ...server, ...tls, ...login)
  const said = twin.neutral(stderr).split('\n')
  const begun = said.findIndex((line) => line.startsWith('>>> AUTHENTICATE '))
  return {
    // Behind the line with the name and the password.
    said: said.slice(begun + 2),
    listed: stdout,
    fetched: brief(readFileSync(twin.join('down.sieve'), 'latin1')),
  }
}

const sievelib = fileURLToPath(new URL('../servers/programs/sieve_round.py', import.meta.url))

export async function sievelibRound(twin: Twin): Promise<unknown> {
  const words = [sievelib, String(twin.ports.sieve), twin.login, password]
  return (await twin.octets(debianPython, ...words)).split('\n')
}
