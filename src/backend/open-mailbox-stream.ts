/** Opens a mailbox: dialled, secured and logged in as every connection to a back-end is. */
import { MailmuxError, messageOf } from '../base/error.ts'
import { createImapBackEnd } from '../protocol/imap/back-end.ts'
import type { BackEndOutcome } from '../protocol/login.ts'
import { createPop3BackEnd } from '../protocol/pop3/back-end.ts'
import { createSieveBackEnd } from '../protocol/sieve/back-end.ts'
import type { Share } from './allowance.ts'
import { Farewell } from './compression.ts'
import { LoginClient } from './login-client.ts'
import { endpointOf, type MailboxAccess, type MailboxProtocol } from './mailbox-access.ts'
import { type Accepted, MailboxStream, type Sieve } from './mailbox-stream.ts'
import { prefaceFor } from './passed-client.ts'
import { isThrottled } from './throttled.ts'

const machines = {
  imap: createImapBackEnd,
  pop3: createPop3BackEnd,
  sieve: createSieveBackEnd,
} as const
/**
 * Throws BACKEND_UNREACHABLE, BACKEND_THROTTLED, BACKEND_LOGIN_REFUSED, BACKEND_PORT_MISSING, or the
 * reason of `signal`, which closes it later, too: nobody waits for an answer then. Who has it destroys
 * it. What comes and goes is counted by the share of `access`, and waits where that says so; `isSpare`:
 * that the login is refused is not; what comes goes through `sieve`.
 */
export function openMailboxStream(
  access: MailboxAccess,
  protocol: MailboxProtocol,
  signal: AbortSignal,
  { isSpare = false, sieve }: { readonly isSpare?: boolean; readonly sieve?: Sieve } = {},
): Promise<MailboxStream> {
  const endpoint = endpointOf(access, protocol)
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<MailboxStream>()
  const plan = {
    machine: machines[protocol](endpoint.tls, access.proof),
    endpoint,
    trust: access.trust,
    connectTimeoutMs: access.connectTimeoutMs,
    loginTimeoutMs: access.loginTimeoutMs,
    preface: prefaceFor({ clientAddress: access.clientAddress, client: undefined }),
  }
  const options = { share: access.share, signal, sieve }
  const client = new LoginClient(plan, {
    backendAnswered(outcome) {
      signal.removeEventListener('abort', giveUp)
      if (outcome.kind === 'accepted') {
        const stream = new MailboxStream(client, outcome, options)
        if (!isWorthCompressing(access, protocol, stream)) resolve(stream)
        else stream.compress(access.loginTimeoutMs).then(() => resolve(stream), fail)
      } else {
        // That one more is refused is not held against the server.
        const share = isSpare ? undefined : access.share
        reject(failureOf(access, share, protocol, outcome))
      }
    },
    backendChallenged() {
      // RFC 7628 section 3.2.3: a refused token is told of in a challenge, to be answered by nothing.
      client.respond('')
    },
  })
  const fail = (error: unknown): void => {
    const what = `${access.server}, ${protocol} as ${access.login}: COMPRESS: ${messageOf(error)}`
    const status = error instanceof Farewell ? error.status : undefined
    const isBusy = status !== undefined && isThrottled({ command: 'NOOP', ...status })
    if (isBusy && !isSpare) access.share?.refused()
    const code = isBusy ? 'BACKEND_THROTTLED' : 'BACKEND_UNREACHABLE'
    reject(signal.aborted ? signal.reason : new MailmuxError(code, what))
  }
  const giveUp = (): void => {
    client.abort()
    reject(signal.reason as Error)
  }
  signal.addEventListener('abort', giveUp, { once: true })
  return promise
}

function isWorthCompressing(
  { share }: MailboxAccess,
  protocol: MailboxProtocol,
  { capabilities }: MailboxStream,
): boolean {
  const isOffered = /(?:^| )COMPRESS=DEFLATE(?: |$)/i.test(capabilities)
  return protocol === 'imap' && isOffered && share?.isCompressed === true
}

/** Codes of a login that may work when others are over. RFC 5530, RFC 2449 section 8.1.1. */
const passing = new Set(['LIMIT', 'INUSE', 'IN-USE', 'LOGIN-DELAY'])

function failureOf(
  { server, login }: MailboxAccess,
  share: Share | undefined,
  protocol: string,
  outcome: Exclude<BackEndOutcome, Accepted>,
): MailmuxError {
  const where = `${server}, ${protocol} as ${login}`
  if (outcome.kind === 'failed') {
    const what = `${where}: ${outcome.step}: ${outcome.detail}`
    if (outcome.reason === 'no_mechanism') return new MailmuxError('BACKEND_LOGIN_REFUSED', what)
    if (outcome.reason !== 'login_unavailable') return new MailmuxError('BACKEND_UNREACHABLE', what)
    share?.refused()
    return new MailmuxError('BACKEND_THROTTLED', what)
  }
  const isDenied = outcome.kind === 'denied'
  const what = `${where}: ${isDenied ? outcome.text : 'the login was refused'}`
  if (!isDenied || !passing.has(outcome.code)) {
    return new MailmuxError('BACKEND_LOGIN_REFUSED', what)
  }
  share?.refused()
  return new MailmuxError('BACKEND_THROTTLED', what)
}
