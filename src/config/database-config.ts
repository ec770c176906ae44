/** Databases that stand in for text sources, as the build reads them. */
/** The sources that a database can fill. */
export type FilledSource = 'aliases' | 'user_map' | 'popmap'

interface DatabaseBase {
  readonly source: FilledSource
  /** The URL without secrets, for people: what stands before the row in a place. */
  readonly label: string
  readonly host: string
  readonly port: number
  readonly passwordFile: string | undefined
  readonly tls: 'none' | 'starttls' | 'implicit'
  /** PEM text of the authorities that may vouch for it; the system's where absent. */
  readonly tlsCaFile: string | undefined
  /** How long the whole reading may take. */
  readonly timeoutMs: number
}

export interface SqlConfig extends DatabaseBase {
  readonly kind: 'postgres' | 'mysql'
  readonly user: string
  readonly database: string
  /** PostgreSQL: the folder of its socket; MySQL: the socket. Goes before host and port. */
  readonly socket: string | undefined
  readonly query: string
}

/** Which attributes of an entry say what. */
export interface LdapAttributes {
  /** Every value is a key. */
  readonly key: readonly string[]
  readonly host: string | undefined
  readonly port: string | undefined
  /** The name to use at the host. */
  readonly user: string | undefined
  /** The address to use at the host, or to go on to where there is no host. */
  readonly address: string | undefined
  /** Every value is a target of an alias. */
  readonly targets: string | undefined
}

export interface LdapConfig extends DatabaseBase {
  readonly kind: 'ldap'
  readonly bindDn: string | undefined
  readonly base: string
  readonly scope: 'base' | 'one' | 'sub'
  readonly filter: string
  readonly attributes: LdapAttributes
  /** Hosts that mean as much as none, in lower case. */
  readonly localHosts: readonly string[]
  /** What becomes of a key without host and address. */
  readonly noHost: 'pass' | 'reject'
}

export type DatabaseConfig = SqlConfig | LdapConfig
