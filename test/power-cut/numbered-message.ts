/** A message that its number makes, every octet of it: so whoever has the number can tell if it is whole. */

/** Small ones mostly; every tenth is larger than what a relay keeps in memory. */
export function numberedMessage(number: number): Buffer {
  const lines = number % 10 === 0 ? 5000 : 10 + ((number * 7919) % 300)
  const text = [`Subject: ${number}`, `X-Number: ${number}`, '']
  for (let line = 0; line < lines; line++) {
    text.push(`${number}/${line} ${'abcdefghijklmnopqrstuvwxyz'.repeat(2)}`)
  }
  return Buffer.from(`${text.join('\r\n')}\r\n`)
}

/** The number of a message of ours as it is kept, and whether it is all there behind the trace header. */
export function readNumbered(content: Buffer): {
  readonly number: number
  readonly isWhole: boolean
} {
  const text = content.toString('latin1')
  const start = text.search(/^Subject: \d+\r\nX-Number: /m)
  const number = Number(/^X-Number: (\d+)\r\n/m.exec(text)?.[1] ?? Number.NaN)
  const isWhole = start >= 0 && content.subarray(start).equals(numberedMessage(number))
  return { number, isWhole }
}
