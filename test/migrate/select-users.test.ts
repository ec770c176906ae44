/** Whom a migration is about, where the map names nobody. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { openMapInForce } from '../../src/map/open.ts'
import { selectUsers } from '../../src/migrate/select-users.ts'
import { buildMapOf } from '../support/daemon.ts'
import { tempDir } from '../support/temp-dir.ts'

const text = `hostname: mx.example.com
domains: [example.com]
backends: {fritz: {host: 127.0.0.1, imap: 143}}
map: {rules: rules}
`

test('who asks for all where rules alone place users is told to name them', async () => {
  using dir = tempDir()
  writeFileSync(dir.join('rules'), '* fritz\n')
  await buildMapOf(dir, text)
  const { config } = await loadConfig(dir.join('mailmux.yaml'))
  const map = openMapInForce(config)
  const chosen = (pattern: string | undefined) => {
    return selectUsers(map, config, 'fritz', { kind: 'pattern', pattern })
  }
  try {
    const message = /^the sources of the map name nobody at fritz: give those whom rules place/
    assert.throws(() => chosen(undefined), { code: 'USER_UNKNOWN', message })
    assert.throws(() => chosen('a*'), { message: 'nobody of those is at fritz' })
    assert.deepEqual(
      chosen('ann').map(({ user }) => user),
      ['ann@example.com'],
    )
  } finally {
    map.close()
  }
})
