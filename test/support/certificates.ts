/** Throw-away certificates (EC P-256) made by the openssl command for the time of a test. */
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
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
  /** A certificate for somebody who logs in with it. */
  issueClient(client: ClientCertificate): IssuedCertificate
  /** PEM text of a list of these, which it takes back; good for days as `issue` has them. */
  revocations(certificates: readonly Pick<IssuedCertificate, 'cert'>[], days?: number): string
  /** An authority that this one vouches for. */
  subordinate(name: string): Authority
}

export interface ClientCertificate {
  /** As openssl's config writes it, such as `email:ann@example.com`; there is none if left out. */
  readonly alternatives?: string
  /** As `openssl req -subj` takes it. */
  readonly subject?: string
  /** More lines of extensions. */
  readonly extensions?: readonly string[]
  /** As for `issue`. */
  readonly days?: number
  /** As `openssl req -newkey` takes it, in the place of EC P-256. */
  readonly kind?: string
}

interface Signing {
  readonly ca: string
  readonly key: string
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
commonName = optional
emailAddress = optional
`

/** Runs one command inside the folder, so that the words of its line are all there is to divide. */
function openssl(dir: TempDir, line: string): void {
  execFileSync('openssl', line.split(' '), { cwd: dir.path, stdio: ['ignore', 'ignore', 'pipe'] })
}

/** Makes an authority of its own; nothing trusts it but those that are given its `ca`. */
export function makeAuthority(name = 'authority'): Authority {
  return selfSigned(name, 'hash')
}

/** Another whose certificates are taken for those of `authority`, until their signature is looked at. */
export function makeImpostor({ ca }: Authority): Authority {
  using dir = tempDir()
  writeFileSync(dir.join('ca.pem'), ca)
  const question = ['x509', '-in', dir.join('ca.pem'), '-noout', '-ext', 'subjectKeyIdentifier']
  const [, identifier = ''] = execFileSync('openssl', question).toString().split('\n')
  const { subject } = new X509Certificate(ca)
  return selfSigned(subject.replace('CN=', ''), identifier.trim())
}

function selfSigned(name: string, keyIdentifier: string): Authority {
  using dir = tempDir()
  writeFileSync(
    dir.join('ca.cnf'),
    `[req]
distinguished_name = name
x509_extensions = own
[name]
[own]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = ${keyIdentifier}
`,
  )
  openssl(
    dir,
    `req -x509 -config ca.cnf -newkey ${newKey} -subj /CN=${name} -days 2 -keyout ca.key -out ca.pem`,
  )
  const ca = readFileSync(dir.join('ca.pem'), 'utf8')
  const key = readFileSync(dir.join('ca.key'), 'utf8')
  return authorityOf({ ca, key })
}

function authorityOf(signing: Signing): Authority {
  return {
    ca: signing.ca,
    issue(names, days = 2) {
      const written = names.map((name) => `${/^[\d.:]+$/.test(name) ? 'IP' : 'DNS'}:${name}`)
      const alternatives = written.join(',')
      return issue(signing, { subject: `/CN=${names[0] ?? 'nobody'}`, alternatives, days })
    },
    issueClient: (client) => issue(signing, client),
    revocations: (certificates, days = 2) => revoke(signing, certificates, days),
    subordinate(name) {
      const extensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=keyCertSign,cRLSign']
      const { cert, key } = issue(signing, { subject: `/CN=${name}`, extensions })
      return authorityOf({ ca: cert, key })
    },
  }
}

/** What `openssl ca` works with. */
function layOut(authority: Signing, dir: TempDir): void {
  const files = {
    'ca.pem': authority.ca,
    'ca.key': authority.key,
    'ca.cnf': settings,
    'index.txt': '',
    'index.txt.attr': '',
  }
  for (const [file, text] of Object.entries(files)) writeFileSync(dir.join(file), text)
}

function issue(authority: Signing, client: ClientCertificate): IssuedCertificate {
  const { alternatives, subject = '/CN=somebody', extensions = [], days = 2, kind } = client
  using dir = tempDir()
  const own = ['authorityKeyIdentifier=keyid']
  if (alternatives !== undefined) own.push(`subjectAltName=${alternatives}`)
  layOut(authority, dir)
  writeFileSync(dir.join('extensions'), `${[...own, ...extensions].join('\n')}\n`)
  const key = kind === undefined ? newKey : `${kind} -nodes`
  openssl(dir, `req -newkey ${key} -subj ${subject} -keyout key -out request`)
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

function revoke(
  authority: Signing,
  certificates: readonly Pick<IssuedCertificate, 'cert'>[],
  days: number,
): string {
  using dir = tempDir()
  layOut(authority, dir)
  const ca = 'ca -config ca.cnf -cert ca.pem -keyfile ca.key'
  for (const { cert } of certificates) {
    writeFileSync(dir.join('revoked.pem'), cert)
    openssl(dir, `${ca} -revoke revoked.pem`)
  }
  const times = `-crl_lastupdate ${day(Math.min(days, 0) - 1)} -crl_nextupdate ${day(days)}`
  openssl(dir, `${ca} -gencrl -out list.pem ${times}`)
  return readFileSync(dir.join('list.pem'), 'utf8')
}

/** A moment some days from now in ASN.1's GeneralizedTime. */
function day(offset: number): string {
  const moment = new Date(Date.now() + offset * 86_400_000).toISOString()
  return `${moment.replace(/[-:T]/g, '').slice(0, 14)}Z`
}
