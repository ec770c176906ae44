/**
 * Entry of the worker processes. It loads what sessions need and nothing else: no command-line
 * framework, no config parser; a front end only when its service is listened for.
 */
import cluster from 'node:cluster'
import { runWorker } from './worker.ts'

process.title = 'mailmux: worker'
runWorker(cluster.worker?.id ?? 0, {
  smtp: async () => (await import('./front-end/smtp.ts')).startSmtpSession,
  lmtp: async () => (await import('./front-end/lmtp.ts')).startLmtpSession,
  imap: async () => (await import('./front-end/imap.ts')).startImapSession,
  pop3: async () => (await import('./front-end/pop3.ts')).startPop3Session,
  sieve: async () => (await import('./front-end/sieve.ts')).startSieveSession,
  submission: async () => (await import('./front-end/submission.ts')).startSubmissionSession,
})
