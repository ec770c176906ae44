import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { foreignFunctionsFlag } from '../../src/storage/foreign-functions.ts'
import { adviseHugePages } from '../../src/storage/huge-pages.ts'

const module = new URL('../../src/storage/huge-pages.ts', import.meta.url).href
const isHere = existsSync('/sys/kernel/mm/transparent_hugepage/enabled')

/** What a process with that flag says: whether it was taken, and how large the areas advised are. */
function advised(megabytes: number, flag: string): { taken: boolean; areas: number[] } {
  const script = `
    const { adviseHugePages } = await import(${JSON.stringify(module)})
    const bytes = new Uint8Array(${megabytes} * 1024 * 1024)
    const taken = adviseHugePages(bytes)
    bytes.fill(7)
    const { readFileSync } = await import('node:fs')
    const areas = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
      .filter((area) => /^VmFlags:.* hg( |$)/m.test(area))
      .map((area) => Number(/^Size: +(\\d+) kB$/m.exec(area)[1]))
    if (bytes.some((octet) => octet !== 7)) throw new Error('octets were lost')
    console.log(JSON.stringify({ taken, areas }))`
  const words = [flag, '--input-type=module', '--eval', script]
  const said = execFileSync(process.execPath, words, { encoding: 'utf8', stdio: 'pipe' })
  return JSON.parse(said) as ReturnType<typeof advised>
}

test('a large buffer is on huge pages, and nothing else is', { skip: !isHere }, () => {
  const { taken, areas } = advised(9, foreignFunctionsFlag)
  assert.equal(taken, true)
  const sum = areas.reduce((total, size) => total + size, 0)
  assert.ok(sum > 8 * 1024 && sum <= 9 * 1024, String(areas))
})

test('a small one is not, nor one of a process that was not started for it', () => {
  assert.equal(advised(1, foreignFunctionsFlag).taken, false)
  assert.equal(advised(9, '--no-warnings').taken, false)
  assert.equal(adviseHugePages(new Uint8Array(9 * 1024 * 1024)), false)
})
