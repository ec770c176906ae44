/** Asks a back-end what it offers to those who bring mail, on a connection made for that alone. */
import type { Capabilities } from '../protocol/smtp/capabilities.ts'
import { SmtpConnection, type SmtpPlan } from './smtp-connection.ts'
import type { SmtpUser } from './smtp-user.ts'

/** Undefined where it does not say. Never rejects. */
export function askOffers(plan: SmtpPlan): Promise<Capabilities | undefined> {
  return new Promise((resolve) => {
    const connection = new SmtpConnection({ ...plan, client: undefined }, new Asker(resolve))
    connection.onReady = (offered) => {
      resolve(offered)
      connection.quit()
    }
  })
}

/** It has no message, so nothing else can be told. */
class Asker implements SmtpUser {
  readonly #done: (offered: undefined) => void

  constructor(done: (offered: undefined) => void) {
    this.#done = done
  }

  connectionReady(): void {}
  recipientAnswered(): void {}
  dataAnswered(): void {}
  messageAnswered(): void {}
  drained(): void {}
  settled(): void {}

  connectionFailed(): void {
    this.#done(undefined)
  }
}
