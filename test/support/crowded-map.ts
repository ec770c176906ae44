/**
 * FOLDER: changes a map in a folder of little room, builds one that is too big for it, fills the room,
 * and prints what was answered, what became of changes and builds, and what they do with room again.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { MailmuxError } from '../../src/base/error.ts'
import { buildMap } from '../../src/map/build.ts'
import { openMapInForce } from '../../src/map/open.ts'
import { applyChange } from '../../src/map/state/apply-change.ts'
import { buildSample, findSample, planAll, planUser } from './sample-change.ts'

const [, , folder = ''] = process.argv
const config = await buildSample(folder)
await applyChange(config, async () => planAll(folder))

async function outcomeOf(work: () => Promise<unknown>): Promise<string> {
  return work().then(
    () => 'done',
    ({ code }: MailmuxError) => code,
  )
}

const users = `${folder}/user_map`
const small = readFileSync(users)
const many = Array.from({ length: 8000 }, (_, number) => `user${number}@example.com fritz\n`)
const before = readdirSync(folder)
writeFileSync(users, many.join(''))
const tooBig = await outcomeOf(() => buildMap(config))
writeFileSync(users, small)
const left = readdirSync(folder).filter((name) => !before.includes(name))

const filler = `${folder}/filler`
for (let blocks = 0; ; blocks++) {
  try {
    writeFileSync(filler, Buffer.alloc(4096), { flag: 'a' })
  } catch {
    break
  }
}

const change = () => applyChange(config, async () => planUser(folder, 'eve'))
const reported: string[] = []
openMapInForce(config, ({ code }) => void reported.push(code)).close()
const full = { found: findSample(config, folder), reported }
const refused = [await outcomeOf(change), await outcomeOf(() => buildMap(config))]
const stillFull = findSample(config, folder)
rmSync(filler)
const made = [await outcomeOf(change), await outcomeOf(() => buildMap(config))]
process.stdout.write(JSON.stringify({ tooBig, left, full, refused, stillFull, made }))
