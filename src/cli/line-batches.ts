/** Lines of a stream, as many at a time as have come: one wait for thousands of them. */
import { StringDecoder } from 'node:string_decoder'

/** More of a line than this is thrown away: nothing that is asked for is so long. */
const lineLimitChars = 65_536

/** Without what ends them; a last line needs no end. Text that is not UTF-8 has U+FFFD in it. */
export async function* lineBatches(
  input: AsyncIterable<Buffer>,
): AsyncGenerator<string[], void, undefined> {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  for await (const chunk of input) {
    const lines = (rest + decoder.write(chunk)).split('\n')
    rest = (lines.pop() ?? '').slice(0, lineLimitChars)
    if (lines.length > 0) yield lines.map(withoutReturn)
  }
  rest += decoder.end()
  if (rest !== '') yield [withoutReturn(rest)]
}

function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line
}
