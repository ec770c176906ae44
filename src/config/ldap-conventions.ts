/** Known ways of keeping mail routes in a directory: which attributes of which entries say what. */
import type { FilledSource, LdapAttributes } from './database-config.ts'

export interface LdapConvention {
  readonly sources: readonly FilledSource[]
  readonly filter: string
  readonly attributes: Partial<LdapAttributes>
}

export const ldapConventionNames = [
  'inetLocalMailRecipient',
  'qmail-ldap',
  'zimbra',
  'kolab',
  'proxyAddresses',
  'perdition',
  'nisMailAlias',
] as const

const users = ['user_map', 'popmap'] as const

export const ldapConventions: Readonly<
  Record<(typeof ldapConventionNames)[number], LdapConvention>
> = {
  /** draft-lachman-laser-ldap-mail-routing, as Sendmail's ldap_routing reads it. */
  inetLocalMailRecipient: {
    sources: users,
    filter: '(objectClass=inetLocalMailRecipient)',
    attributes: { key: ['mailLocalAddress'], host: 'mailHost', address: 'mailRoutingAddress' },
  },
  /** What else its entries say (deliveryMode, quotas) is for the back-end to heed. */
  'qmail-ldap': {
    sources: users,
    filter: '(&(objectClass=qmailUser)(!(accountStatus=deleted)))',
    attributes: { key: ['mail', 'mailAlternateAddress'], host: 'mailHost' },
  },
  zimbra: {
    sources: users,
    filter: '(&(objectClass=zimbraAccount)(zimbraMailStatus=enabled))',
    attributes: {
      key: ['zimbraMailDeliveryAddress', 'mail', 'zimbraMailAlias'],
      host: 'zimbraMailHost',
    },
  },
  kolab: {
    sources: users,
    filter: '(objectClass=kolabInetOrgPerson)',
    attributes: { key: ['mail', 'alias'], host: 'mailHost' },
  },
  /** Of proxyAddresses, `SMTP:` is the address of the mailbox, `smtp:` another name of it. */
  proxyAddresses: {
    sources: ['user_map', 'popmap', 'aliases'],
    filter: '(proxyAddresses=smtp:*)',
    attributes: { key: ['proxyAddresses'] },
  },
  /** perditiondb_ldap(8), whose default query asks for uid. */
  perdition: {
    sources: users,
    filter: '(uid=*)',
    attributes: { key: ['uid'], user: 'username', host: 'mailhost', port: 'port' },
  },
  /** Sendmail's and NIS's lists. */
  nisMailAlias: {
    sources: ['aliases'],
    filter: '(objectClass=nisMailAlias)',
    attributes: { key: ['cn'], targets: 'rfc822MailMember' },
  },
}
