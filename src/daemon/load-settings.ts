/**
 * Config → settings that workers can serve with, or everything that stands in the way: certificates
 * that cannot be used, a map that cannot be opened, addresses that cannot be listened on. Changes
 * nothing, so that a reload can be refused as a whole.
 */
import { access } from 'node:fs/promises'
import { MailmuxError, messageOf } from '../base/error.ts'
import type { CertificateFiles, Config, ListenerConfig, Service } from '../config/config.ts'
import type { ClientAuthorities } from '../net/tls.ts'
import type { KnownChanges } from '../map/state/override-reader.ts'
import { realDisk } from '../storage/disk.ts'
import { type PinnedFile, pinFile } from '../storage/pinned-file.ts'
import { type BoundListener, bindListeners } from './bind-listeners.ts'
import { unreadable } from '../map/database/open-database.ts'
import { KeptChanges } from './kept-changes.ts'
import { openGeneration } from './generation.ts'
import { readLoginSecrets, readSmarthostPassword } from './login/read-login-secrets.ts'
import { prepareStateDir, refuseUnless, type RunAs } from './run-as.ts'
import { sessionsPerWorker, workersOf } from './session-share.ts'
import type { BackendPem, PemCertificate, Settings } from './settings.ts'

export interface LoadedSettings {
  readonly settings: Settings
  readonly bound: readonly BoundListener[]
  readonly workers: number
  readonly generation: number
  /** When the map was built; milliseconds of the epoch. */
  readonly builtAt: number
  /** Users that the map names, where it tells. */
  readonly users: number | undefined
  readonly changes: KeptChanges
  /** To be called when no worker will be started with these settings any more. */
  release(): Promise<void>
}

export interface LoadOptions {
  readonly config: Config
  /** Only these; all that the config listens for where it is empty. */
  readonly services: readonly Service[]
  /** What is open already and stays so. */
  readonly inForce: readonly BoundListener[]
  /** Changes that are known of the map in force. */
  readonly known?: KnownChanges
  /** Whom workers run as, where as somebody else. */
  readonly runAs?: RunAs | undefined
}

/** Reads and tries all of it. Nothing is thrown for what the config, the files or the ports hold. */
export async function loadSettings(
  options: LoadOptions,
): Promise<LoadedSettings | { readonly problems: readonly MailmuxError[] }> {
  const { config, runAs } = options
  const problems: MailmuxError[] = []
  await tryStateDir(config, runAs, problems)
  const certificates = await readCertificates(config, problems)
  const clientAuthorities = await readClientAuthorities(config, problems)
  const backendPems = await readBackendPems(config, problems)
  const logins = await readLoginSecrets(config, problems)
  const smarthostPassword = await readSmarthostPassword(config, problems)
  const wanted = wantedListeners(options, problems)
  const listening = await bindListeners(wanted, options.inForce)
  const workers = workersOf(config)
  const map = await pinMap(config.map.database, runAs, problems)
  const settings: Settings = {
    config,
    listeners: listening.bound.map((listener) => listener.config),
    mapFile: map?.path ?? '',
    certificates,
    clientAuthorities,
    backendPems,
    logins,
    smarthostPassword,
    sessionsPerWorker: await sessionsPerWorker(config.limits.sessions, workers),
  }
  const about = map === undefined ? noMap : tryGeneration(settings, problems)
  problems.push(...listening.problems)
  if (map === undefined || problems.length > 0) {
    await map?.release()
    return { problems }
  }
  const changes = new KeptChanges(config.stateDir, about.generation, options.known)
  return {
    settings,
    bound: listening.bound,
    workers,
    ...about,
    builtAt: map.modifiedMs,
    changes,
    async release() {
      changes[Symbol.dispose]()
      await map.release()
    },
  }
}

async function readCertificates(
  { tls }: Config,
  problems: MailmuxError[],
): Promise<PemCertificate[]> {
  const pairs: PemCertificate[] = []
  for (const files of tls.certificates) {
    const pair = await readPair(files, problems)
    if (pair !== undefined) pairs.push(pair)
  }
  return pairs
}

async function readPair(
  { certFile, keyFile }: CertificateFiles,
  problems: MailmuxError[],
): Promise<PemCertificate | undefined> {
  const cert = await readText(certFile, problems)
  const key = await readText(keyFile, problems)
  return cert === undefined || key === undefined ? undefined : { certFile, cert, key }
}

async function readClientAuthorities(
  { tls: { clientCaFile, clientCrlFile } }: Config,
  problems: MailmuxError[],
): Promise<ClientAuthorities | undefined> {
  if (clientCaFile === undefined) return undefined
  const ca = await readText(clientCaFile, problems)
  const crl = clientCrlFile === undefined ? undefined : await readText(clientCrlFile, problems)
  return ca === undefined ? undefined : { ca, crl }
}

export async function readBackendPems(
  { backends }: Config,
  problems: MailmuxError[],
): Promise<Map<string, BackendPem>> {
  const pems = new Map<string, BackendPem>()
  for (const { name, tlsCaFile, tlsClient } of backends.values()) {
    if (tlsCaFile === undefined && tlsClient === undefined) continue
    const ca = tlsCaFile === undefined ? undefined : await readText(tlsCaFile, problems)
    const client = tlsClient === undefined ? undefined : await readPair(tlsClient, problems)
    pems.set(name, { ca, client })
  }
  return pems
}

async function readText(file: string, problems: MailmuxError[]): Promise<string | undefined> {
  try {
    return (await realDisk.read(file)).toString('latin1')
  } catch (error) {
    problems.push(
      new MailmuxError('TLS_UNUSABLE', `${file}: ${messageOf(error)}`, { cause: error }),
    )
    return undefined
  }
}

function wantedListeners(
  { config, services }: LoadOptions,
  problems: MailmuxError[],
): readonly ListenerConfig[] {
  for (const service of services) {
    if (config.listeners.some((listener) => listener.service === service)) continue
    problems.push(new MailmuxError('CONFIG_INVALID', `${config.file}: listen: has no ${service}`))
  }
  if (services.length === 0 && config.listeners.length === 0) {
    problems.push(new MailmuxError('CONFIG_INVALID', `${config.file}: listen: names no address`))
  }
  return config.listeners.filter(
    ({ service }) => services.length === 0 || services.includes(service),
  )
}

async function tryStateDir(
  { stateDir }: Config,
  runAs: RunAs | undefined,
  problems: MailmuxError[],
): Promise<void> {
  try {
    await prepareStateDir(stateDir, runAs)
  } catch (error) {
    if (!(error instanceof MailmuxError)) throw error
    problems.push(error)
  }
}

async function pinMap(
  file: string,
  runAs: RunAs | undefined,
  problems: MailmuxError[],
): Promise<PinnedFile | undefined> {
  try {
    await access(file)
    if (runAs !== undefined) refuseUnless('read', file, runAs)
    return await pinFile(file, runAs === undefined ? 'this user' : 'others')
  } catch (error) {
    if (error instanceof MailmuxError) {
      problems.push(error)
      return undefined
    }
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    problems.push(
      isMissing
        ? new MailmuxError('MAP_DATABASE_MISSING', `${file}: there is no map database`)
        : unreadable(file, error),
    )
    return undefined
  }
}

type AboutMap = Pick<LoadedSettings, 'generation' | 'users'>

const noMap: AboutMap = { generation: 0, users: undefined }

/** Opens everything as a worker would, and closes it again. Returns what there is to say of the map. */
function tryGeneration(settings: Settings, problems: MailmuxError[]): AboutMap {
  const opened = openGeneration(settings)
  if ('problems' in opened) {
    problems.push(...opened.problems.map((problem) => withRealName(problem, settings)))
    return noMap
  }
  const { map } = opened.generation
  map.close()
  return { generation: map.base, users: map.users }
}

function withRealName(problem: MailmuxError, { mapFile, config }: Settings): MailmuxError {
  if (!problem.message.includes(mapFile)) return problem
  const message = problem.message.replaceAll(mapFile, config.map.database)
  return new MailmuxError(problem.code, message, { cause: problem })
}
