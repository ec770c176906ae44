import assert from 'node:assert/strict'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { Dovecot } from '../../src/demo/dovecot.ts'
import { Peer } from '../support/peer.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { runTool, skipWithout } from '../support/tools.ts'

const skip = skipWithout('dovecot', 'swaks')
const users = [{ address: 'ann@example.com', password: 'secret' }]

function openDir(): TempDir {
  const dir = tempDir()
  chmodSync(dir.path, 0o755)
  return dir
}

async function deliver(dir: TempDir, dovecot: Dovecot, to: string) {
  const server = ['--server', '127.0.0.1', '--port', String(dovecot.ports.lmtp)]
  const envelope = ['--protocol', 'LMTP', '--from', 'guest@example.net', '--to', to]
  return runTool(dir.path, 'swaks', [...server, ...envelope])
}

async function countOf(dovecot: Dovecot): Promise<number> {
  const text = await dovecot.doveadm('fetch', '-u', 'ann@example.com', 'uid', 'all')
  return text.match(/^uid: /gm)?.length ?? 0
}

/** Processes of a group that still run; those that only wait to be counted out do not. */
async function processesOf(dir: TempDir, group: number): Promise<string[]> {
  const { stdout } = await runTool(dir.path, 'ps', ['-A', '-o', 'pgid=,stat=,args='])
  return stdout.split('\n').filter((line) => {
    const [pgid, state = ''] = line.trim().split(/\s+/)
    return Number(pgid) === group && !state.startsWith('Z')
  })
}

describe('a Dovecot in a folder of its own', { skip }, () => {
  test('two run side by side, each with its own mail', async () => {
    using dir = openDir()
    await using fritz = await Dovecot.start({ name: 'fritz', folder: dir.join('fritz'), users })
    await using ingrid = await Dovecot.start({ name: 'ingrid', folder: dir.join('ingrid'), users })
    const { code, stdout } = await deliver(dir, fritz, 'ann@example.com')
    assert.equal(code, 0, stdout)
    assert.deepEqual([await countOf(fritz), await countOf(ingrid)], [1, 0])
  })

  test('LMTP takes nobody but the users it was given', async () => {
    using dir = openDir()
    await using dovecot = await Dovecot.start({ name: 'fritz', folder: dir.join('fritz'), users })
    for (const to of ['walter@example.com', 'ann@example.org', 'ann']) {
      const { code, stdout } = await deliver(dir, dovecot, to)
      assert.equal(code, 24, stdout)
      assert.match(stdout, /<\*\* 550 5\.1\.1 /)
    }
  })

  test('stopped, none of its processes is left; started again, it has its ports and mail', async () => {
    using dir = openDir()
    await using dovecot = await Dovecot.start({ name: 'fritz', folder: dir.join('fritz'), users })
    const { ports, pid } = dovecot
    assert.ok(pid !== undefined)
    assert.notDeepEqual(await processesOf(dir, pid), [])
    await deliver(dir, dovecot, 'ann@example.com')
    await dovecot.stop()
    assert.deepEqual(await processesOf(dir, pid), [])
    await assert.rejects(Peer.connect(ports.imap), /ECONNREFUSED/)
    await dovecot.start()
    assert.deepEqual(dovecot.ports, ports)
    assert.equal(await countOf(dovecot), 1)
  })

  test('a start that fails says what Dovecot said, and leaves nothing running', async () => {
    using dir = openDir()
    const dovecot = await Dovecot.start({ name: 'fritz', folder: dir.join('fritz'), users })
    await dovecot.stop()
    writeFileSync(dovecot.configFile, `${readFileSync(dovecot.configFile, 'utf8')}nonsense = 1\n`)
    await assert.rejects(dovecot.start(), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'DEMO_FAILED')
      assert.match(error.message, /fritz: Dovecot did not start\n[^]*nonsense/)
      return true
    })
    const { pid } = dovecot
    await dovecot.stop()
    if (pid !== undefined) assert.deepEqual(await processesOf(dir, pid), [])
  })

  test('an interrupted start leaves nothing running', async () => {
    using dir = openDir()
    const interrupted = new AbortController()
    const options = { name: 'fritz', folder: dir.join('fritz'), users }
    const starting = Dovecot.start(options, interrupted.signal)
    interrupted.abort(new Error('enough'))
    await assert.rejects(starting, /enough/)
    assert.ok(!existsSync(dir.join('fritz', 'run', 'master.pid')))
  })

  test('where Dovecot is missing, the packages are named', async () => {
    using dir = openDir()
    const options = { name: 'fritz', folder: dir.join('fritz'), users, program: 'no-dovecot' }
    await assert.rejects(Dovecot.start(options), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'TOOL_MISSING')
      assert.match(error.message, /apt-get install dovecot-imapd dovecot-pop3d dovecot-lmtpd/)
      return true
    })
  })
})
