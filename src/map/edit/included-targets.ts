/** What the files say that an alias includes, for edits of the alias: those files stay as they are. */
import { dirname, isAbsolute, join } from 'node:path'
import { MailmuxError, messageOf } from '../../base/error.ts'
import { realDisk } from '../../storage/disk.ts'
import { divideTargets, isIgnored, type Token } from '../sources/line-grammar.ts'
import { parseTarget, type TargetContext } from '../sources/alias-targets.ts'
import { sourceLines } from './source-lines.ts'

/** Targets that come from files, in whatever number of steps. Throws MAP_SOURCE_UNREADABLE. */
export async function includedTargets(
  file: string,
  tokens: readonly Token[],
  context: TargetContext,
): Promise<Set<string>> {
  const targets = new Set<string>()
  const waiting = pathsIn(file, tokens, context)
  const read = new Set<string>()
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (read.has(path)) continue
    read.add(path)
    const words = await wordsOf(path)
    for (const word of words) {
      const parsed = parseTarget(word.text, context)
      if ('target' in parsed) targets.add(parsed.target)
    }
    waiting.push(...pathsIn(path, words, context))
  }
  return targets
}

function pathsIn(file: string, tokens: readonly Token[], context: TargetContext): string[] {
  return tokens.flatMap(({ text }) => {
    const parsed = parseTarget(text, context)
    if (!('include' in parsed)) return []
    return [isAbsolute(parsed.include) ? parsed.include : join(dirname(file), parsed.include)]
  })
}

async function wordsOf(path: string): Promise<Token[]> {
  try {
    const lines = [...sourceLines(await realDisk.read(path))]
    return lines.flatMap(({ text }) => (isIgnored(text) ? [] : divideTargets(text, 1)))
  } catch (error) {
    const what = `${path}: cannot be read: ${messageOf(error)}`
    throw new MailmuxError('MAP_SOURCE_UNREADABLE', what, { cause: error })
  }
}
