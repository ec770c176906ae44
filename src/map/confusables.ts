/**
 * Letters that look like an ASCII letter, and characters that show as nothing: the part of the
 * confusables of Unicode (UTS #39) that is met in names.
 */

const likeAscii: Readonly<Record<string, string>> = {
  a: 'аɑα',
  c: 'сᴄϲ',
  d: 'ԁ',
  e: 'еҽ',
  g: 'ɡց',
  h: 'һհ',
  i: 'іıɩιɪ',
  j: 'јϳ',
  l: 'ӏǀ',
  n: 'ոռ',
  o: 'оοօσᴏ',
  p: 'рρ',
  q: 'ԛզ',
  s: 'ѕꜱ',
  u: 'υսᴜ',
  v: 'ѵνᴠ',
  w: 'ԝᴡ',
  x: 'х',
  y: 'уүγʏ',
  z: 'ᴢ',
  '-': '\u2010\u2012\u2013\u2212\u2043',
}

const letters = new Map(
  Object.entries(likeAscii).flatMap(([ascii, others]) => Array.from(others, (one) => [one, ascii])),
)

/** Soft hyphen, joiners, marks of direction, and what else takes no room. */
const invisible = /[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]/g

/** What a name looks like: of two users with one look a person cannot tell which is meant. */
export function looksOf(name: string): string {
  const folded = name.normalize('NFKC').toLowerCase().normalize('NFKC').replace(invisible, '')
  // oxlint-disable-next-line no-control-regex -- all that is not ASCII
  return folded.replace(/[^\u0000-\u007f]/gu, (letter) => letters.get(letter) ?? letter)
}
