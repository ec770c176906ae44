/** Passwords that a real OpenLDAP judges. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { LdapBind } from '../../src/daemon/login/ldap-bind.ts'
import { makeAuthority } from '../support/certificates.ts'
import {
  databasePrograms,
  type DatabaseServer,
  ldapBase,
  startOpenldap,
} from '../support/database-server.ts'
import { skipWithout } from '../support/tools.ts'

const authority = makeAuthority()

function person(uid: string, password: string): string {
  return `dn: uid=${uid},${ldapBase}\nobjectClass: inetOrgPerson\nsn: x\ncn: x\nuserPassword: ${password}\n\n`
}

describe('passwords at OpenLDAP', { skip: skipWithout(databasePrograms.openldap) }, () => {
  let server: DatabaseServer

  before(async () => {
    const people = person('ann', 'right') + person('o\\2Cdd\\2Bone', 'pa ss:w"\\,')
    server = await startOpenldap(authority.issue(['localhost', '127.0.0.1']), people)
  })
  after(() => server[Symbol.asyncDispose]())

  const bindTo = (tls: 'none' | 'starttls' | 'implicit', ca = authority.ca): LdapBind => {
    const [scheme, port] = tls === 'implicit' ? ['ldaps', server.tlsPort] : ['ldap', server.port]
    const url = `${scheme}://127.0.0.1:${port}`
    const dn = `uid={local},${ldapBase}`
    return new LdapBind({ url, host: '127.0.0.1', tls, tlsCaFile: undefined, dn }, ca)
  }

  for (const tls of ['none', 'starttls', 'implicit'] as const) {
    test(`${tls}: the right password of a user is, and nothing else`, async () => {
      const bind = bindTo(tls)
      assert.equal(await bind.isPassword('ann@example.com', 'right'), true)
      assert.equal(await bind.isPassword('ann@example.com', 'wrong'), false)
      assert.equal(await bind.isPassword('nobody@example.com', 'right'), false)
      // A bind without a password would be one as nobody.
      assert.equal(await bind.isPassword('ann@example.com', ''), false)
      assert.equal(await bind.isPassword('ann@example.com', '\xff'), false)
    })
  }

  test('a name cannot become another entry', async () => {
    const bind = bindTo('none')
    assert.equal(await bind.isPassword('o,dd+one@example.com', 'pa ss:w"\\,'), true)
    assert.equal(await bind.isPassword('ann,dc=x@example.com', 'right'), false)
    assert.equal(await bind.isPassword('*@example.com', 'right'), false)
  })

  test('a directory that cannot prove itself is told no password, and judges none', async () => {
    const stranger = makeAuthority('other').ca
    for (const tls of ['starttls', 'implicit'] as const) {
      assert.equal(await bindTo(tls, stranger).isPassword('ann@example.com', 'right'), undefined)
    }
  })
})

test('a directory that is not there judges no password', async () => {
  const config = { host: '127.0.0.1', tls: 'none', tlsCaFile: undefined, dn: 'uid={user}' } as const
  const bind = new LdapBind({ ...config, url: 'ldap://127.0.0.1:1' }, undefined)
  assert.equal(await bind.isPassword('ann@example.com', 'right'), undefined)
})
