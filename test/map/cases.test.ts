/**
 * The folders of test/maps: sources, and beside them what they compile to. `routes` has a line
 * `DIRECTION ADDRESS: answer` for each question, `problems` what the build reports.
 */
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { test } from 'node:test'
import { formatProblem, type Problem } from '../../src/base/problem.ts'
import type { Config } from '../../src/config/config.ts'
import type { Direction } from '../../src/mail/route.ts'
import { answerQuestion, describeAnswer } from '../../src/map/answer.ts'
import { buildMap } from '../../src/map/build.ts'
import { openMap } from '../../src/map/open.ts'
import { MapProblems } from '../../src/map/problems.ts'
import { configOf } from '../support/map-case.ts'
import { tempDir } from '../support/temp-dir.ts'

const folders = globSync('test/maps/*/').map((folder) => folder.replace(/\/$/, ''))

async function problemsOf(config: Config): Promise<readonly Problem[]> {
  try {
    return (await buildMap(config)).warnings
  } catch (error) {
    if (error instanceof MapProblems) return error.problems
    throw error
  }
}

function readCase(folder: string, name: string): string {
  const path = join(folder, name)
  return existsSync(path) ? readFileSync(path, 'utf8') : ''
}

function answerLine(line: string, config: Config): string {
  const [, direction, address = ''] = /^(delivery|retrieval) ([^:]*?)(?::.*)?$/.exec(line) ?? []
  const map = openMap(config.map.database)
  try {
    const question = { text: address, direction: direction as Direction }
    return `${direction} ${address}: ${describeAnswer(answerQuestion(question, map, config))}`
  } finally {
    map.close()
  }
}

test('there are cases', () => {
  assert.ok(folders.length >= 10)
})

for (const folder of folders.sort()) {
  test(`the sources of ${basename(folder)} give the routes and problems beside them`, async () => {
    using dir = tempDir()
    const config = configOf(folder, dir.join('map.db'))
    const problems = await problemsOf(config)
    const found = problems.map((one) =>
      formatProblem(one).replaceAll(`${dirname(config.file)}/`, ''),
    )
    assert.deepEqual(found, readCase(folder, 'problems').split('\n').filter(Boolean))
    const expected = readCase(folder, 'routes').split('\n').filter(Boolean)
    assert.ok(expected.length > 0 || problems.some(({ severity }) => severity === 'error'))
    assert.deepEqual(
      expected.map((line) => answerLine(line, config)),
      expected,
    )
  })
}
