/** The submission proxy: its machines, driven as every login protocol is. */
import { CheckedSession } from '../../protocol/smtp/checked-session.ts'
import { createSubmissionBackEnd } from '../../protocol/smtp/submission-back-end.ts'
import { createSubmissionFrontEnd } from '../../protocol/smtp/submission-front-end.ts'
import { checkedExtensions, commonExtensions } from '../../protocol/smtp/submission-offers.ts'
import { SubmissionWatch } from '../../protocol/smtp/joined-watch.ts'
import { CheckedJoin } from '../login/checked-join.ts'
import { Join } from '../login/join.ts'
import { offersFollowing } from '../login/login-offers.ts'
import type { Runtime } from '../runtime.ts'
import { judgeSender } from '../login/sender-check.ts'
import { startLoginSession } from '../login/start-login-session.ts'

const commonFor = offersFollowing('submission', commonExtensions)

function extensionsFor(runtime: Runtime): string[] {
  const common = commonFor(runtime)
  const { checkSender, limits } = runtime.current.config
  return checkSender === 'none' ? common : checkedExtensions(common, limits.messageSizeBytes)
}

export const startSubmissionSession = startLoginSession({
  service: 'submission',
  createFrontEnd: (options, runtime) => createSubmissionFrontEnd(options, extensionsFor(runtime)),
  createBackEnd: createSubmissionBackEnd,
  createJoin: (options) => {
    const { runtime, accepted } = options
    const { checkSender, hostname, limits } = runtime.current.config
    if (checkSender === 'none') return new Join(options, new SubmissionWatch())
    const machine = new CheckedSession({
      hostname,
      extensions: extensionsFor(runtime),
      limitBytes: limits.messageSizeBytes,
      judge: (path) => judgeSender(runtime.current, accepted.user, path),
    })
    return new CheckedJoin(options, machine)
  },
})
