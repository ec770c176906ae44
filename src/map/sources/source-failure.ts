/** Why a database could not be read to its end. */
import { messageOf } from '../../base/error.ts'

export class SourceFailure extends Error {
  /** `unavailable`: another time it may be read; `unreadable`: not before something is mended. */
  readonly code: 'unavailable' | 'unreadable'

  constructor(code: SourceFailure['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SourceFailure'
    this.code = code
  }
}

/** Certificates that do not hold, and servers without TLS where it is wanted. */
const tlsCodes =
  /^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|HOSTNAME_MISMATCH|HANDSHAKE_NO_SSL)/
/** Where a library has put another code into the place of that, or none. */
const tlsTexts = /certificate|altnames|does not support SSL/

/** What a client library has thrown; `isRefusal` where the server has answered, and the answer is no. */
export function failureOf(thrown: unknown, isRefusal: boolean): SourceFailure {
  if (thrown instanceof SourceFailure) return thrown
  // An attempt at several addresses has its reasons one level below, and no text of its own.
  const inner = thrown instanceof AggregateError ? (thrown.errors as unknown[])[0] : undefined
  const text = messageOf(inner ?? thrown).replaceAll(/\s+/g, ' ')
  const { code } = { code: '', ...(thrown as object) } as { code?: unknown }
  const isTls = tlsCodes.test(String(code)) || tlsTexts.test(text)
  return new SourceFailure(
    isTls || isRefusal ? 'unreadable' : 'unavailable',
    text === '' ? 'the connection failed' : text,
    { cause: thrown },
  )
}
