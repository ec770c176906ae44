/**
 * A Postfix of its own, queue and all, in the folder of a run: as a relay with its queue, or, by
 * smtpd_proxy_filter, as a proxy that brings each message to the back-end before it answers.
 */
import { execFileSync, type ChildProcess } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { answering, proxyCpu, type Rig, startPinned } from '../rig/rig.ts'

const services = `pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - 20 smtp
relay unix - - n - 20 smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

export async function startPostfix(rig: Rig, mode: 'queue' | 'proxy'): Promise<ChildProcess> {
  const { folder, backend, proxy } = rig
  const [queue, etc, data] = ['queue', 'etc', 'data'].map((name) => join(folder, name))
  if (queue === undefined || etc === undefined || data === undefined) throw new Error('no folder')
  chmodSync(folder, 0o755)
  mkdirSync(etc)
  const own = ['-d', '-o', 'postfix', '-m']
  const folders = 'active bounce corrupt defer deferred flush hold incoming private saved trace'
  execFileSync('install', ['-d', '-m', '755', queue, join(queue, 'pid')])
  const inQueue = folders.split(' ').map((name) => join(queue, name))
  execFileSync('install', [...own, '700', data, ...inQueue])
  const shared = ['-g', 'postdrop', join(queue, 'maildrop'), join(queue, 'public')]
  execFileSync('install', [...own, '1730', ...shared])
  writeFileSync(join(etc, 'main.cf'), mainConfig(rig, queue, data))
  const options =
    mode === 'proxy'
      ? `-o smtpd_proxy_filter=127.0.0.1:${backend.smtp} -o smtpd_proxy_timeout=60s`
      : ''
  const front = `127.0.0.1:${proxy.smtp} inet n - n - 20 smtpd ${options}\n`
  writeFileSync(join(etc, 'master.cf'), front + services)
  const child = startPinned(proxyCpu, '/usr/lib/postfix/sbin/master', ['-c', etc, '-d'])
  return await answering(child, proxy.smtp)
}

function mainConfig(rig: Rig, queue: string, data: string): string {
  const next = `[127.0.0.1]:${rig.backend.smtp}`
  return `compatibility_level = 3.6
queue_directory = ${queue}
data_directory = ${data}
myhostname = proxy.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relay_domains = example.com
relay_recipient_maps =
local_recipient_maps =
alias_maps =
message_size_limit = 104857600
smtpd_relay_restrictions = permit_mynetworks, reject
default_transport = smtp:${next}
relay_transport = relay:${next}
default_process_limit = 20
relay_destination_concurrency_limit = 20
smtp_destination_concurrency_limit = 20
smtp_connection_cache_destinations = static:all
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_peername_lookup = no
smtpd_tls_security_level = none
smtp_tls_security_level = none
in_flow_delay = 0
maillog_file = ${rig.folder}/mail.log
maillog_file_prefixes = ${rig.folder}
`
}
