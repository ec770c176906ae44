/** Whether `word`, in small letters, stands at `at` in any case of its letters. Hot: makes no string. */
export function isWordAt(bytes: Buffer, at: number, word: string): boolean {
  for (let index = 0; index < word.length; index++) {
    if (((bytes[at + index] ?? 0) | 0x20) !== word.charCodeAt(index)) return false
  }
  return true
}
