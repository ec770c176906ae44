/**
 * FOLDER: changes a map in a folder of little room, fills the room, and prints what was answered then,
 * what became of a change and of a build, and what both do when there is room again.
 */
import { rmSync, writeFileSync } from 'node:fs'
import type { MailmuxError } from '../../src/base/error.ts'
import { buildMap } from '../../src/map/build.ts'
import { openMapInForce } from '../../src/map/open.ts'
import { applyChange } from '../../src/map/state/apply-change.ts'
import { buildSample, findSample, planAll, planUser } from './sample-change.ts'

const [, , folder = ''] = process.argv
const config = await buildSample(folder)
await applyChange(config, async () => planAll(folder))

const filler = `${folder}/filler`
for (let blocks = 0; ; blocks++) {
  try {
    writeFileSync(filler, Buffer.alloc(4096), { flag: 'a' })
  } catch {
    break
  }
}

async function outcomeOf(work: () => Promise<unknown>): Promise<string> {
  return work().then(
    () => 'done',
    ({ code }: MailmuxError) => code,
  )
}

const change = () => applyChange(config, async () => planUser(folder, 'eve'))
const reported: string[] = []
openMapInForce(config, ({ code }) => void reported.push(code)).close()
const full = { found: findSample(config, folder), reported }
const refused = [await outcomeOf(change), await outcomeOf(() => buildMap(config))]
const stillFull = findSample(config, folder)
rmSync(filler)
const made = [await outcomeOf(change), await outcomeOf(() => buildMap(config))]
process.stdout.write(JSON.stringify({ full, refused, stillFull, made }))
