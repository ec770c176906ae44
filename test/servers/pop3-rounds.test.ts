/** Whole rounds of POP3 clients that others wrote, through the proxy and at the back-end itself. */
import { describe } from 'node:test'
import { fetchmailRound, mpopRound } from '../support/collecting-programs.ts'
import { compareRounds } from '../support/compare-rounds.ts'
import { curlRound, opensslRound, pythonRound } from '../support/scripted-programs.ts'
import { skipTwins } from '../support/twin-site.ts'

describe('a whole round of POP3', {
  skip: skipTwins('fetchmail', 'mpop', 'curl', 'python3'),
}, () => {
  compareRounds({
    fetchmail: { round: fetchmailRound('pop3'), proofs: [/POP3> UIDL/, /POP3> DELE 5/] },
    mpop: { round: mpopRound, proofs: [/new: 5 messages/, /--> UIDL/, /--> DELE 5/] },
    curl: {
      round: curlRound('pop3'),
      proofs: [/> RETR 5/, /> TOP 2 1/, /> UIDL/, /> DELE 1/, /> STAT/, /< -ERR/],
    },
    poplib: { round: pythonRound('pop3'), proofs: [/"\+OK 5 360675/, /"Subject: plain/] },
    openssl: { round: opensslRound('pop3'), proofs: [/"\+OK 5 360675/, /"-ERR/] },
    // With implicit TLS, which this Cyrus does not have.
    'openssl-pop3s': {
      round: opensslRound('pop3s'),
      proofs: [/"\+OK 5 360675/, /"-ERR/, /Logging out/],
      backends: ['fritz'],
    },
  })
})
