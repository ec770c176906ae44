/** Settings → what sessions use: TLS contexts and the open map. */
import type { SecureContext } from 'node:tls'
import { MailmuxError, messageOf } from '../base/error.ts'
import type { Config } from '../config/config.ts'
import { type MapReader, openMap, type StateSource } from '../map/open.ts'
import { statePath } from '../map/state/state.ts'
import { createBackendTls, createServerTls, type ServerTls } from '../net/tls.ts'
import { AdminLogins } from './admin-logins.ts'
import { LdapBind } from './login/ldap-bind.ts'
import { byHashes, LoginVerifier } from './login/login-verifier.ts'
import { readPasswords } from './login/password-file.ts'
import type { Generation } from './runtime.ts'
import type { BackendPem, Settings } from './settings.ts'

type Opened =
  | { readonly generation: Generation }
  | { readonly problems: readonly [MailmuxError, ...MailmuxError[]] }

/** A look for changes costs as much as a look-up: a busy worker does not take one on every turn. */
const mayLagMs = 1

/**
 * Builds all of it, or says everything that is wrong; then nothing is left open. `changes` are those
 * that are known of, and who is told where new ones cannot be read.
 */
export function openGeneration(
  settings: Settings,
  changes: Omit<StateSource, 'path'> = {},
): Opened {
  const { config, backendPems, mapFile, smarthostPassword } = settings
  const problems: MailmuxError[] = []
  const attempt = <T>(make: () => T): T | undefined => {
    try {
      return make()
    } catch (error) {
      problems.push(
        error instanceof MailmuxError
          ? error
          : new MailmuxError('INTERNAL', messageOf(error), { cause: error }),
      )
      return undefined
    }
  }
  const serverTls = serverTlsOf(settings, attempt)
  const backendTls = backendTlsOf(config, backendPems, attempt)
  const verifier = attempt(() => verifierOf(settings))
  const certified = certifiedOf(settings)
  const map: MapReader | undefined = attempt(() =>
    openMap(mapFile, { ...changes, path: statePath(config.stateDir), mayLagMs }),
  )
  const [first, ...rest] = problems
  if (first !== undefined || map === undefined) {
    map?.close()
    const unknown = new MailmuxError('INTERNAL', `${mapFile}: not opened`)
    return { problems: [first ?? unknown, ...rest] }
  }
  const own = { verifier, certified, smarthostPassword }
  return { generation: { config, map, serverTls, backendTls, ...own } }
}

function verifierOf({ config, logins }: Settings): LoginVerifier | undefined {
  const { passwdFile, ldapBind, naming } = config
  if (logins === undefined || (passwdFile === undefined && ldapBind === undefined)) return undefined
  const { passwords, ldapCa, admins } = logins
  if (ldapBind !== undefined) {
    const directory = new LdapBind(ldapBind, ldapCa)
    return new LoginVerifier((user, password) => directory.isPassword(user, password), admins)
  }
  const hashes = readPasswords(passwords, passwdFile ?? '', naming)
  return new LoginVerifier(byHashes(hashes), admins)
}

function certifiedOf({ clientAuthorities, logins }: Settings): AdminLogins | undefined {
  if (clientAuthorities === undefined || logins === undefined) return undefined
  return new AdminLogins(logins.admins)
}

type Attempt = <T>(make: () => T) => T | undefined

/** Each pair is tried by itself first, so that the report names the files of each bad one. */
function serverTlsOf(
  { config: { tls }, certificates, clientAuthorities }: Settings,
  attempt: Attempt,
): ServerTls | undefined {
  if (certificates.length === 0) return undefined
  const usable = certificates.filter(
    (pair) =>
      attempt(() => named(pair.certFile, () => createServerTls([pair], tls.minVersion))) !==
      undefined,
  )
  if (usable.length < certificates.length) return undefined
  const file = [tls.clientCaFile, tls.clientCrlFile].filter((part) => part !== undefined).join(', ')
  return attempt(() =>
    named(file, () => createServerTls(usable, tls.minVersion, clientAuthorities)),
  )
}

/** One context for all back-ends that the system's authorities vouch for: it is large. */
export function backendTlsOf(
  config: Config,
  pems: ReadonlyMap<string, BackendPem>,
  attempt: Attempt,
): ReadonlyMap<string, SecureContext> {
  const contexts = new Map<string, SecureContext>()
  let ofSystem: SecureContext | undefined
  for (const { name, endpoints, tlsCaFile } of config.backends.values()) {
    if (Object.values(endpoints).every(({ tls }) => tls === 'none')) continue
    const { ca, client } = pems.get(name) ?? {}
    const file = [tlsCaFile, client?.certFile].filter((part) => part !== undefined).join(', ')
    const context =
      ca === undefined && client === undefined
        ? (ofSystem ??= attempt(() => createBackendTls(undefined)))
        : attempt(() => named(file, () => createBackendTls(ca, client)))
    if (context !== undefined) contexts.set(name, context)
  }
  return contexts
}

/** Puts the file's name before what is wrong with its contents. */
function named<T>(file: string, make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (!(error instanceof MailmuxError)) throw error
    throw new MailmuxError(error.code, `${file}: ${error.message}`, { cause: error })
  }
}
