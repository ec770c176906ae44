/** Letters by programs that others wrote, through the proxy and at the back-end itself. */
import { describe } from 'node:test'
import { compareRounds } from '../support/compare-rounds.ts'
import { opensslRound } from '../support/scripted-programs.ts'
import { curlSendsRound, msmtpRound, swaksRound } from '../support/sending-programs.ts'
import { skipTwins } from '../support/twin-site.ts'

describe('a whole round of submission', { skip: skipTwins('swaks', 'msmtp', 'curl') }, () => {
  // Cyrus has no submission.
  const backends = ['fritz'] as const
  compareRounds({
    swaks: { round: swaksRound, proofs: [/<~ {2}250 .* Saved/], backends },
    msmtp: { round: msmtpRound, proofs: [/<-- 250 .* Saved/], backends },
    curl: { round: curlSendsRound, proofs: [/< 250 .* Saved/], backends },
    openssl: {
      round: opensslRound('smtp'),
      proofs: [/"550 5\.7\.1 /, /"250 .* Saved/, /"221 /],
      backends,
    },
  })
})
