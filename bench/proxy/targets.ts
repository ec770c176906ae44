/** The proxies that are measured beside each other, each on one processor with one worker. */
import { execFileSync, type ChildProcess } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { answering, proxyCpu, type Rig, startPinned } from '../rig/rig.ts'

export interface Target {
  readonly name: string
  start(rig: Rig): Promise<ChildProcess>
}

const users = 1000
const root = new URL('../..', import.meta.url).pathname

/** On one processor where it has one worker, else on both. */
export async function startMailmux(rig: Rig, workers = 1): Promise<ChildProcess> {
  const folder = join(rig.folder, 'mailmux')
  mkdirSync(folder, { recursive: true })
  const { backend, proxy } = rig
  writeFileSync(
    join(folder, 'mailmux.yaml'),
    `hostname: proxy.example
domains: [example.com]
backends:
  fritz: {host: 127.0.0.1, imap: ${backend.imap}, pop3: ${backend.pop3}, submission: ${backend.smtp}, sieve: ${backend.sieve}}
map: {user_map: user_map, database: map.db}
listen:
  imap: [{address: "127.0.0.1:${proxy.imap}", tls: none}, {address: "127.0.0.1:${proxy.imaps}", tls: implicit}]
  pop3: [{address: "127.0.0.1:${proxy.pop3}", tls: none}, {address: "127.0.0.1:${proxy.pop3s}", tls: implicit}]
  submission: [{address: "127.0.0.1:${proxy.submission}", tls: none}]
  sieve: [{address: "127.0.0.1:${proxy.sieve}", tls: none}]
tls: {certificates: [{cert: ${rig.cert}, key: ${rig.key}}]}
limits: {message_size: 100MiB}
workers: ${workers}
state_dir: .
run_dir: .
`,
  )
  const lines = Array.from({ length: users }, (_, index) => `user${index}@example.com fritz\n`)
  writeFileSync(join(folder, 'user_map'), lines.join(''))
  const config = ['--config', join(folder, 'mailmux.yaml')]
  const bin = join(root, 'bin/run.js')
  execFileSync(process.execPath, [bin, 'build-map', ...config], { stdio: 'ignore' })
  const cpus = workers === 1 ? proxyCpu : '0-1'
  const child = startPinned(cpus, process.execPath, [bin, 'serve', ...config])
  return await answering(child, proxy.imap)
}

function nginxServer(port: number, protocol: string, more = ''): string {
  return `server { listen 127.0.0.1:${port} ${more} backlog=4096; protocol ${protocol}; proxy on; }`
}

async function startNginx(rig: Rig, buffer: string): Promise<ChildProcess> {
  const { backend, proxy, folder } = rig
  const module = '/usr/lib/nginx/modules/ngx_mail_module.so'
  const file = join(folder, 'nginx.conf')
  writeFileSync(
    file,
    `${existsSync(module) ? `load_module ${module};` : ''}
user root; worker_processes 1; worker_rlimit_nofile 20000; daemon off;
pid ${folder}/nginx.pid; error_log ${folder}/nginx.log warn;
events { worker_connections 20000; }
mail {
  auth_http 127.0.0.1:${backend.http}/auth; server_name proxy.example;
  imap_capabilities IMAP4rev1 LITERAL+ SASL-IR IDLE ID; imap_auth plain login;
  pop3_auth plain; pop3_capabilities TOP USER UIDL;
  smtp_auth plain; proxy_smtp_auth on; xclient off;
  ssl_certificate ${rig.cert}; ssl_certificate_key ${rig.key};
  ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache none; ssl_session_tickets off;
  ${buffer}
  ${nginxServer(proxy.imap, 'imap')} ${nginxServer(proxy.imaps, 'imap', 'ssl')} ${nginxServer(proxy.pop3, 'pop3')}
  ${nginxServer(proxy.pop3s, 'pop3', 'ssl')} ${nginxServer(proxy.submission, 'smtp')}
}
`,
  )
  const child = startPinned(proxyCpu, 'nginx', [
    '-p',
    folder,
    '-c',
    file,
    '-e',
    `${folder}/nginx.log`,
  ])
  return await answering(child, proxy.imap)
}

/** ManageSieve alone, which nginx does not know: one login process for many clients, as it is quickest. */
async function startDovecot(rig: Rig): Promise<ChildProcess> {
  const { backend, proxy } = rig
  const folder = join(rig.folder, 'dovecot')
  mkdirSync(folder)
  chmodSync(rig.folder, 0o755)
  const file = join(folder, 'dovecot.conf')
  writeFileSync(
    file,
    `base_dir = ${folder}/run
state_dir = ${folder}
log_path = ${folder}/log
protocols = sieve
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
login_log_format_elements =
auth_verbose = no
mail_max_userip_connections = 0
default_vsz_limit = 4G
default_client_limit = 20000
service anvil {
  client_limit = 20000
}
service auth {
  client_limit = 20000
}
service managesieve-login {
  service_count = 0
  process_min_avail = 1
  process_limit = 1
  client_limit = 19000
  inet_listener sieve {
    port = ${proxy.sieve}
  }
}
passdb {
  driver = static
  args = proxy=y nopassword=y host=127.0.0.1 port=${backend.sieve} proxy_timeout=30
}
`,
  )
  return await answering(startPinned(proxyCpu, 'dovecot', ['-F', '-c', file]), proxy.sieve)
}

export const mailmux: Target = { name: 'mailmux', start: (rig) => startMailmux(rig) }
/** As Debian ships it: a buffer of one page. */
export const nginx: Target = { name: 'nginx', start: (rig) => startNginx(rig, '') }
export const dovecot: Target = { name: 'dovecot', start: startDovecot }
export const nginxLarge: Target = {
  name: 'nginx-64k',
  start: (rig) => startNginx(rig, 'proxy_buffer 64k;'),
}
