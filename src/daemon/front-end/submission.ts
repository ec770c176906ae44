/** The submission proxy: its machines, driven as every login protocol is. */
import { createSubmissionBackEnd } from '../../protocol/smtp/submission-back-end.ts'
import { createSubmissionFrontEnd } from '../../protocol/smtp/submission-front-end.ts'
import { commonExtensions } from '../../protocol/smtp/submission-offers.ts'
import { capabilitiesFor } from '../login-offers.ts'
import { startLoginSession } from '../start-login-session.ts'

export const startSubmissionSession = startLoginSession({
  service: 'submission',
  createFrontEnd: (options, runtime) =>
    createSubmissionFrontEnd(options, commonExtensions(capabilitiesFor(runtime, 'submission'))),
  createBackEnd: createSubmissionBackEnd,
})
