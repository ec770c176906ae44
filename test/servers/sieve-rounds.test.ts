/** Whole rounds of ManageSieve, through the proxy and at the back-end itself. */
import { describe } from 'node:test'
import { compareRounds } from '../support/compare-rounds.ts'
import { opensslRound } from '../support/scripted-programs.ts'
import { sieveConnectRound, sievelibRound } from '../support/sieve-programs.ts'
import { skipWithoutModule } from '../support/tools.ts'
import { skipTwins } from '../support/twin-site.ts'

const skip = skipTwins('sieve-connect') || skipWithoutModule('sievelib')

describe('a whole round of ManageSieve', { skip }, () => {
  compareRounds({
    'sieve-connect': {
      round: sieveConnectRound,
      proofs: [/"fetched":"270028 octets/, /<<< NO \(ACTIVE\)/, /PUTSCRIPT\(bad\) failed/],
    },
    sievelib: { round: sievelibRound, proofs: [/fileinto "a folder";/] },
    // Cyrus loses what comes along with the login.
    openssl: {
      round: opensslRound('sieve'),
      proofs: [/"NO \(ACTIVE\)/, /"kept" ACTIVE/, /"OK "Logout completed\."/],
      backends: ['fritz'],
    },
  })
})
