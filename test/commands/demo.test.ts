import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, globSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { describe, test } from 'node:test'
import type { DemoReport } from '../../src/demo/demo.ts'
import { bin, runCommand } from '../support/command.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { skipWithout, runTool } from '../support/tools.ts'

const skip = skipWithout('dovecot', 'curl')

/** `mailmux demo` with a temporary directory of its own, so that what it leaves can be seen. */
function startDemo(dir: TempDir, ...args: readonly string[]) {
  const child = spawn(process.execPath, [bin, 'demo', ...args], {
    env: { ...process.env, TMPDIR: dir.path, NO_COLOR: '1', NODE_TEST_CONTEXT: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (line) => {
    stdout += `${line}\n`
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const ended = once(child, 'close').then(([code]) => ({ code: code as number, stdout, stderr }))
  /** Waits for a line that matches. */
  async function said(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(stdout)
      if (found !== null) return found
      const next = await Promise.race([once(lines, 'line'), ended])
      if (!Array.isArray(next)) throw new Error(`it ended: ${stdout}${stderr}`)
    }
  }
  return { child, ended, said }
}

async function processesIn(dir: TempDir): Promise<string[]> {
  const { stdout } = await runTool('/', 'ps', ['-A', '-o', 'args='])
  return stdout.split('\n').filter((line) => line.includes(dir.path))
}

function openDir(): TempDir {
  const dir = tempDir()
  chmodSync(dir.path, 0o755)
  return dir
}

describe('mailmux demo', { skip }, () => {
  test('sends, explains and reads back, within 80 columns, and leaves nothing behind', async () => {
    using dir = openDir()
    const { ended } = startDemo(dir)
    const { code, stdout, stderr } = await ended
    assert.deepEqual([code, stderr], [0, ''], stdout)
    for (const expected of [
      /ann@example\.com → ingrid\n +user_map:2 +ann@example\.com +ingrid\n +reply: 250 2\.0\.0 /,
      /zoe@example\.com → ingrid\n +rules:3 +zoe@example\.com +n-z +ingrid\n +reply: 250 2\.0\.0 /,
      /team@example\.com → bob@example\.com at fritz, carl@example\.com at fritz\n +aliases:2 /,
      /will@example\.com → ingrid\n.*\n +reply: 550 5\.1\.1 /,
      /eve@example\.org → refused: 550 5\.7\.1 .*\n +reply: 550 5\.7\.1 /,
      /imap +ann +"To ann" +from ingrid\.example\.com/,
      /imap +bob +"To the team" +from fritz\.example\.com/,
      /pop3 +carl +"To the team" +from fritz\.example\.com/,
      /pop3 +zoe +"To zoe" +from ingrid\.example\.com/,
    ]) {
      assert.match(stdout, expected)
    }
    // Names in the folder are as long as the temporary directory's own name.
    const long = stdout.split('\n').filter((line) => line.length > 80 && !line.includes(dir.path))
    assert.deepEqual(long, [])
    assert.deepEqual(globSync(dir.join('*')), [])
    assert.deepEqual(await processesIn(dir), [])
  })

  test('--json prints one object and nothing else', async () => {
    const { code, stdout, stderr } = await runCommand(['demo', '--json'])
    assert.deepEqual([code, stderr], [0, ''], stdout)
    const report = JSON.parse(stdout) as DemoReport
    assert.deepEqual(
      report.messages.map(({ to, backends, reply }) => [to, backends, reply.slice(0, 9)]),
      [
        ['ann@example.com', ['ingrid'], '250 2.0.0'],
        ['zoe@example.com', ['ingrid'], '250 2.0.0'],
        ['team@example.com', ['fritz'], '250 2.0.0'],
        ['will@example.com', ['ingrid'], '550 5.1.1'],
        ['eve@example.org', [], '550 5.7.1'],
      ],
    )
    assert.deepEqual(
      report.mailboxes.map(({ login, messages }) => [login, messages.length]),
      [
        ['ann', 1],
        ['bob', 1],
        ['carl', 1],
        ['zoe', 1],
      ],
    )
    assert.ok(!existsSync(report.folder))
  })

  test('--keep leaves it running for one to try, until Ctrl-C', async () => {
    using dir = openDir()
    const demo = startDemo(dir, '--keep')
    const [, config = ''] = await demo.said(/explain zoe --config (\S+)/)
    const [, url = ''] = await demo.said(/curl (pop3:\S+)/)
    await demo.said(/Ctrl-C here/)
    const status = await runCommand(['status', '--json', '--config', config])
    assert.equal(status.code, 0, status.stderr)
    const mail = await runTool(dir.path, 'curl', ['-q', '-s', url, '-u', 'carl:secret'])
    assert.match(mail.stdout, /^Subject: To the team\r$/m)
    demo.child.kill('SIGINT')
    const { code, stderr } = await demo.ended
    assert.deepEqual([code, stderr], [0, ''])
    assert.deepEqual(await processesIn(dir), [])
    assert.ok(!existsSync(config))
  })

  for (const chapter of [1, 3, 4]) {
    test(`interrupted in chapter ${chapter} it leaves nothing behind`, async () => {
      using dir = openDir()
      const demo = startDemo(dir)
      await demo.said(new RegExp(`^${chapter}\\. `, 'm'))
      demo.child.kill('SIGINT')
      const { code, stderr } = await demo.ended
      assert.deepEqual([code, stderr], [130, 'stopped; nothing is left running\n'])
      assert.deepEqual(globSync(dir.join('mailmux-demo-*')), [])
      assert.deepEqual(await processesIn(dir), [])
    })
  }
})
