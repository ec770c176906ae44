/** Whole rounds of IMAP clients that others wrote, through the proxy and at the back-end itself. */
import { describe } from 'node:test'
import { fetchmailRound } from '../support/collecting-programs.ts'
import { compareRounds } from '../support/compare-rounds.ts'
import { muttRound } from '../support/mutt.ts'
import { curlRound, opensslRound, pythonRound } from '../support/scripted-programs.ts'
import { mbsyncRound, offlineimapRound } from '../support/syncing-programs.ts'
import { skipTwins } from '../support/twin-site.ts'

const skip = skipTwins('mbsync', 'offlineimap', 'fetchmail', 'curl', 'python3', 'mutt', 'tmux')

describe('a whole round of IMAP', { skip }, () => {
  compareRounds({
    mbsync: {
      round: mbsyncRound,
      proofs: [/>>> \d+ APPEND "INBOX" /, />>> \d+ UID STORE /, />>> \d+ CREATE "made"/],
    },
    offlineimap: {
      round: offlineimapRound,
      proofs: [/Creating folder made\[far\]/, /Adding flag T to 1 /, /near:made -> far:made/],
    },
    fetchmail: {
      round: fetchmailRound('imap'),
      proofs: [/IMAP> A\d+ FETCH 5 /, /IMAP> A\d+ STORE 5 \+FLAGS \(.*Deleted\)/],
    },
    curl: {
      round: curlRound('imap'),
      proofs: [/> A\d+ APPEND INBOX /, /< \* SEARCH 2/, /> A\d+ EXPUNGE/, /> A\d+ FETCH 99 /],
    },
    mutt: {
      round: muttRound,
      proofs: [
        ...['SELECT', 'FETCH', 'STORE', 'SEARCH', 'COPY', 'EXPUNGE', 'CREATE'].map(
          (verb) => new RegExp(`"(?:> )?a\\d{4} [^"]*${verb}`),
        ),
        /Subject: plain.*Subject: end.*Subject: dots.*Subject: dots/,
      ],
    },
    imaplib: {
      round: pythonRound('imap'),
      proofs: [/"\+ idling/, /"\* 6 EXISTS/, /idling OK /, /"\* BYE /],
    },
    openssl: {
      round: opensslRound('imap'),
      proofs: [/"f OK \[APPENDUID /, /"\* SEARCH 6/, /"h OK /, /"m BAD /, /"\* BYE /, /"n OK /],
    },
    // With implicit TLS, which this Cyrus does not have.
    'openssl-imaps': {
      round: opensslRound('imaps'),
      proofs: [/"m BAD /, /"h OK /, /"n OK /],
      backends: ['fritz'],
    },
  })
})
