/** Throw-away certificates (EC P-256) made by the openssl command for the time of a test. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { type TempDir, tempDir } from './temp-dir.ts'

export interface IssuedCertificate {
  /** PEM texts. */
  readonly cert: string
  readonly key: string
}

export interface Authority {
  /** PEM text of the authority's own certificate. */
  readonly ca: string
  /**
   * A certificate for `names` (host names or addresses), valid for the next days; with a negative
   * number it expired that many days ago.
   */
  issue(names: readonly string[], days?: number): IssuedCertificate
}

const newKey = 'ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
const settings = `[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = .
default_md = sha256
rand_serial = yes
policy = any
[any]
commonName = supplied
`

/** Runs one command inside the folder, so that the words of its line are all there is to divide. */
function openssl(dir: TempDir, line: string): void {
  execFileSync('openssl', line.split(' '), { cwd: dir.path, stdio: ['ignore', 'ignore', 'pipe'] })
}

/** Makes an authority of its own; nothing trusts it but those that are given its `ca`. */
export function makeAuthority(name = 'authority'): Authority {
  using dir = tempDir()
  openssl(
    dir,
    `req -x509 -newkey ${newKey} -subj /CN=${name} -days 2 -keyout ca.key -out ca.pem ` +
      '-addext keyUsage=critical,keyCertSign,cRLSign',
  )
  const ca = readFileSync(dir.join('ca.pem'), 'utf8')
  const key = readFileSync(dir.join('ca.key'), 'utf8')
  return { ca, issue: (names, days = 2) => issue({ ca, key }, names, days) }
}

function issue(
  authority: { ca: string; key: string },
  names: readonly string[],
  days: number,
): IssuedCertificate {
  using dir = tempDir()
  const alternatives = names.map((name) => `${/^[\d.:]+$/.test(name) ? 'IP' : 'DNS'}:${name}`)
  const files = {
    'ca.pem': authority.ca,
    'ca.key': authority.key,
    'ca.cnf': settings,
    'index.txt': '',
    'index.txt.attr': '',
    extensions: `subjectAltName=${alternatives.join(',')}\n`,
  }
  for (const [file, text] of Object.entries(files)) writeFileSync(dir.join(file), text)
  openssl(dir, `req -newkey ${newKey} -subj /CN=${names[0] ?? 'nobody'} -keyout key -out request`)
  openssl(
    dir,
    'ca -batch -notext -config ca.cnf -cert ca.pem -keyfile ca.key -in request -out cert ' +
      `-extfile extensions -startdate ${day(Math.min(days, 0) - 1)} -enddate ${day(days)}`,
  )
  return {
    cert: readFileSync(dir.join('cert'), 'utf8'),
    key: readFileSync(dir.join('key'), 'utf8'),
  }
}

/** A moment some days from now in ASN.1's GeneralizedTime. */
function day(offset: number): string {
  const moment = new Date(Date.now() + offset * 86_400_000).toISOString()
  return `${moment.replace(/[-:T]/g, '').slice(0, 14)}Z`
}
