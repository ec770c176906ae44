/**
 * A whole system on this machine for a first look: two real back-ends, a map, a front end, messages
 * through all of it. Everything is in one folder of the temporary directory and is gone at the end,
 * also after a failure or an interruption.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import { buildMap } from '../map/build.ts'
import { Dovecot } from './dovecot.ts'
import { freePorts } from './free-port.ts'
import { FrontEnd } from './front-end.ts'
import { type Delivery, deliverSamples } from './deliver-samples.ts'
import type { Narrator } from './narrator.ts'
import { type ReadBack, readBack } from './read-back.ts'
import {
  admin,
  type BackendName,
  demoConfig,
  domain,
  type FrontEndPorts,
  mapSources,
  password,
  people,
  residents,
} from './sources.ts'

export interface DemoOptions {
  /** The command line of mailmux, without a command. */
  readonly program: readonly string[]
  /** How a person calls it here. */
  readonly shownProgram: string
  /** Leaves everything running until the signal. */
  readonly keep: boolean
  readonly narrator: Narrator
}

/** `mailmux demo --json`. */
export interface DemoReport {
  readonly folder: string
  readonly config: string
  readonly ports: FrontEndPorts
  readonly messages: readonly Delivery[]
  readonly mailboxes: readonly ReadBack[]
}

/** What runs, and where. */
interface Site {
  readonly folder: string
  readonly config: Config
  readonly ports: FrontEndPorts
  readonly backends: Readonly<Record<BackendName, Dovecot>>
  readonly frontEnd: FrontEnd
}

/**
 * Throws TOOL_MISSING, DEMO_FAILED, or the reason of `signal` where that ends it early. With `keep`,
 * the signal is the ordinary end; after a failure the folder stays then.
 */
export async function runDemo(options: DemoOptions, signal: AbortSignal): Promise<DemoReport> {
  const { keep, narrator } = options
  narrator.say('One domain, two mail servers, one front end, all on this machine.')
  const folder = mkdtempSync(join(tmpdir(), 'mailmux-demo-'))
  // The mailboxes of a back-end started by root belong to another user.
  chmodSync(folder, 0o755)
  let mayRemove = !keep
  try {
    await using resources = new AsyncDisposableStack()
    const site = await startSite(folder, { options, resources }, signal)
    const messages = await deliverSamples(site, narrator)
    signal.throwIfAborted()
    const mailboxes = await readBack(site.ports, narrator)
    signal.throwIfAborted()
    sayWhatNext(site, options)
    mayRemove = true
    if (keep) await new Promise((resolve) => signal.addEventListener('abort', resolve))
    return { folder, config: site.config.file, ports: site.ports, messages, mailboxes }
  } finally {
    if (mayRemove || signal.aborted) rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    else narrator.say('', `The files are left in ${folder}`)
  }
}

interface Surroundings {
  readonly options: DemoOptions
  readonly resources: AsyncDisposableStack
}

async function startSite(
  folder: string,
  { options, resources }: Surroundings,
  signal: AbortSignal,
): Promise<Site> {
  const { narrator } = options
  narrator.chapter('Two back-ends hold the mailboxes')
  const [fritz, ingrid] = await startBackends(folder, resources, signal)
  const backends = { fritz, ingrid }
  narrator.table(
    [fritz, ingrid].map(({ name, ports }) => [
      name,
      `imap ${ports.imap}`,
      `pop3 ${ports.pop3}`,
      `lmtp ${ports.lmtp}`,
      residents[name as BackendName].join(', '),
    ]),
  )
  narrator.say('Two real Dovecot servers: both know all users, and not who lives where.')

  const [smtp = 0, imap = 0, pop3 = 0] = await freePorts(3)
  const ports = { smtp, imap, pop3 }
  const configFile = join(folder, 'mailmux.yaml')
  for (const [name, text] of Object.entries(mapSources)) writeFileSync(join(folder, name), text)
  const text = demoConfig(ports, { fritz: fritz.ports, ingrid: ingrid.ports })
  writeFileSync(configFile, text)
  writeFileSync(join(folder, admin.file), admin.password, { mode: 0o600 })
  const { config } = await loadConfig(configFile)
  await tellMap(config, narrator)
  signal.throwIfAborted()

  narrator.chapter('One front end is what the world sees')
  const logFile = join(folder, 'mailmux.log')
  const started = FrontEnd.start({ program: options.program, configFile, logFile }, signal)
  const frontEnd = resources.use(await started)
  narrator.table([['mailmux', `smtp ${smtp}`, `imap ${imap}`, `pop3 ${pop3}`]])
  narrator.say('It holds no mail and no passwords, only the map.')
  return { folder, config, ports, backends, frontEnd }
}

async function startBackends(
  folder: string,
  resources: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<readonly [Dovecot, Dovecot]> {
  const start = async (name: BackendName): Promise<Dovecot> => {
    const users = people.map((user) => ({ address: `${user}@${domain}`, password }))
    return Dovecot.start({ name, folder: join(folder, name), users, admin }, signal)
  }
  const started = await Promise.allSettled([start('fritz'), start('ingrid')])
  for (const result of started) if (result.status === 'fulfilled') resources.use(result.value)
  const [fritz, ingrid] = started.map((result) => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  }) as [Dovecot, Dovecot]
  return [fritz, ingrid]
}

async function tellMap(config: Config, narrator: Narrator): Promise<void> {
  narrator.chapter('One map says who lives where')
  const report = await buildMap(config)
  narrator.table(
    Object.entries(mapSources).map(([name, source]) => {
      const lines = source.split('\n').filter((line) => line !== '')
      const [comment = '', ...entries] = lines
      return [name, entries.join(' | ').replaceAll(/ {2,}/g, ' '), comment.replace('# ', '')]
    }),
  )
  narrator.say(`Compiled into one database, ${report.bytes} bytes, for delivery and for logins.`)
}

function sayWhatNext(site: Site, { keep, narrator, shownProgram }: DemoOptions): void {
  narrator.chapter(keep ? 'It is all running: try it' : 'What to try next')
  if (!keep) {
    narrator.command(`${shownProgram} demo --keep`, 'the same, and it stays until Ctrl-C')
    narrator.say('', `The files were in ${site.folder}; they and the servers are gone.`)
    return
  }
  const { config, ports, folder } = site
  const mailmux = (command: string): string => `${shownProgram} ${command} --config ${config.file}`
  const imap = `imap://127.0.0.1:${ports.imap}/INBOX`
  narrator.command(mailmux('explain zoe'), 'why zoe lives where she lives')
  narrator.command(mailmux('status'), 'what the front end has done')
  narrator.command(
    `swaks -s 127.0.0.1 -p ${ports.smtp} -t team@${domain} --silent`,
    'mail to bob and carl',
  )
  narrator.command(`curl ${imap} -u bob:${password} -X 'STATUS INBOX (MESSAGES)'`, 'IMAP')
  narrator.command(`curl pop3://127.0.0.1:${ports.pop3}/1 -u carl:${password}`, 'POP3')
  narrator.command(mailmux('user move zoe --to fritz'), 'zoe moves, mail and all, while she works')
  narrator.command(
    `echo 'xenia@${domain} fritz' >> ${join(folder, 'user_map')}`,
    'a line of her own for xenia; then build, reload, and explain her',
  )
  narrator.command(mailmux('build-map'), '')
  narrator.command(mailmux('reload'), '')
  narrator.say('', `Files and logs: ${folder}`)
  const { fritz, ingrid } = site.backends
  const pids = [`fritz ${fritz.pid}`, `ingrid ${ingrid.pid}`, `mailmux serve ${site.frontEnd.pid}`]
  narrator.say(`Processes: ${pids.join(', ')}`)
  narrator.say(`Ctrl-C here, or kill ${process.pid}, ends them all and removes the files.`)
}
