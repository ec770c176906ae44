/**
 * Relays that are measured beside each other, each on one processor. Those that are not here are left
 * out, with a word why.
 */
import { execFileSync, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { answering, proxyCpu, type Rig, startPinned } from '../rig/rig.ts'
import { startPostfix } from './postfix.ts'

export interface Target {
  readonly name: string
  /** Why it cannot be measured here; undefined where it can. */
  readonly missing: () => string | undefined
  readonly start: (rig: Rig) => Promise<ChildProcess>
  /** How many messages of a run it is given, as a share: slow ones get few. */
  readonly share: number
}

const root = new URL('../..', import.meta.url).pathname
const npmFolder = join(root, '.cache/bench-peers')
/** As Debian has it. */
const mailModule = '/usr/lib/nginx/modules/ngx_mail_module.so'
const users = 1000

function configOf(rig: Rig, workers: number, backends: readonly string[]): string {
  const places = backends.map((name) => `${name}: {host: 127.0.0.1, smtp: ${rig.backend.smtp}}`)
  return `hostname: proxy.example
domains: [example.com]
backends: {${places.join(', ')}}
map: {user_map: user_map, database: map.db}
listen: {smtp: ["127.0.0.1:${rig.proxy.smtp}"]}
limits: {message_size: 100MiB}
client_names: none
workers: ${workers}
state_dir: .
run_dir: .
`
}

/** On one processor where it has one worker, else on all. Users are at each of the back-ends in turn. */
export async function startMailmux(
  rig: Rig,
  workers: number,
  backends: readonly string[] = ['fritz'],
): Promise<ChildProcess> {
  const folder = join(rig.folder, 'mailmux')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'mailmux.yaml'), configOf(rig, workers, backends))
  const homeOf = (index: number): string => backends[index % backends.length] ?? ''
  const lines = Array.from(
    { length: users },
    (_, index) => `user${index}@example.com ${homeOf(index)}\n`,
  )
  writeFileSync(join(folder, 'user_map'), lines.join(''))
  const config = ['--config', join(folder, 'mailmux.yaml')]
  const bin = join(root, 'bin/run.js')
  execFileSync(process.execPath, [bin, 'build-map', ...config], { stdio: 'ignore' })
  const cpus = workers === 1 ? proxyCpu : '0-1'
  const child = startPinned(cpus, process.execPath, [bin, 'serve', 'smtp', ...config])
  return await answering(child, rig.proxy.smtp)
}

/** nginx asks its auth_http where to go, which the stand-in answers. */
async function startNginx(rig: Rig): Promise<ChildProcess> {
  const { backend, proxy, folder } = rig
  const file = join(folder, 'nginx.conf')
  writeFileSync(
    file,
    `load_module ${mailModule};
user root; worker_processes 1; worker_rlimit_nofile 20000; daemon off;
pid ${folder}/nginx.pid; error_log ${folder}/nginx.log warn;
events { worker_connections 20000; }
mail {
  auth_http 127.0.0.1:${backend.http}/auth; server_name proxy.example;
  server { listen 127.0.0.1:${proxy.smtp} backlog=4096; protocol smtp; smtp_auth none; proxy on;
    smtp_capabilities PIPELINING 8BITMIME "SIZE 104857600"; }
}
`,
  )
  const args = ['-p', folder, '-c', file, '-e', `${folder}/nginx.log`]
  const child = startPinned(proxyCpu, 'nginx', args)
  return await answering(child, proxy.smtp)
}

async function startHaraka(rig: Rig): Promise<ChildProcess> {
  const folder = join(rig.folder, 'haraka')
  const program = join(npmFolder, 'node_modules/Haraka/bin/haraka')
  execFileSync(process.execPath, [program, '-i', folder], { stdio: 'ignore' })
  mkdirSync(join(folder, 'queue'), { recursive: true })
  const files = {
    'smtp.ini': `listen=127.0.0.1:${rig.proxy.smtp}\nnodes=0\n[headers]\nmax_received=100\n`,
    plugins: 'rcpt_to.in_host_list\nqueue/smtp_forward\n',
    host_list: 'example.com\n',
    'smtp_forward.ini': `host=127.0.0.1\nport=${rig.backend.smtp}\nenable_tls=false\n[outbound]\nenable_outbound=false\n`,
    // Its own settings, but for the size of a message.
    'connection.ini': readFileSync(
      join(npmFolder, 'node_modules/Haraka/config/connection.ini'),
      'utf8',
    ).replace(/^;? *bytes *=.*$/m, 'bytes=104857600'),
    me: 'proxy.example\n',
    loglevel: 'CRIT\n',
  }
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder, 'config', name), text)
  }
  const child = startPinned(proxyCpu, process.execPath, [program, '-c', folder])
  return await answering(child, rig.proxy.smtp)
}

async function startNpmRelay(rig: Rig): Promise<ChildProcess> {
  const script = join(root, 'bench/relay/npm-relay.ts')
  const args = [script, npmFolder, `${rig.proxy.smtp}`, `${rig.backend.smtp}`]
  const child = startPinned(proxyCpu, process.execPath, args)
  return await answering(child, rig.proxy.smtp)
}

/** Into a folder of their own: the product does not need them. */
function withoutNpm(name: string): string | undefined {
  const isThere = (): boolean => existsSync(join(npmFolder, 'node_modules', name))
  if (isThere()) return undefined
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error']
  try {
    mkdirSync(npmFolder, { recursive: true })
    execFileSync('npm', ['install', '--prefix', npmFolder, ...quiet, ...peersOf(name)], {
      stdio: 'ignore',
      timeout: 300_000,
    })
  } catch {
    // Told below.
  }
  return isThere() ? undefined : `npm could not install ${name}`
}

function peersOf(name: string): readonly string[] {
  return name === 'smtp-server' ? [name, 'nodemailer'] : [name]
}

function without(...programs: readonly string[]): string | undefined {
  const missing = programs.find((program) => !existsSync(program))
  return missing === undefined ? undefined : `there is no ${missing}`
}

function withoutPostfix(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can start Postfix'
  return without('/usr/lib/postfix/sbin/master')
}

export const mailmux: Target = {
  name: 'mailmux',
  share: 1,
  missing: () => undefined,
  start: (rig) => startMailmux(rig, 1),
}

export const peers: readonly Target[] = [
  {
    name: 'nginx',
    share: 0.1,
    missing: () => without('/usr/sbin/nginx', mailModule),
    start: startNginx,
  },
  {
    name: 'postfix-proxy',
    share: 0.2,
    missing: withoutPostfix,
    start: (rig) => startPostfix(rig, 'proxy'),
  },
  {
    name: 'postfix',
    share: 0.1,
    missing: withoutPostfix,
    start: (rig) => startPostfix(rig, 'queue'),
  },
  {
    name: 'smtp-server',
    share: 0.1,
    missing: () => withoutNpm('smtp-server'),
    start: startNpmRelay,
  },
  { name: 'haraka', share: 0.05, missing: () => withoutNpm('Haraka'), start: startHaraka },
]
