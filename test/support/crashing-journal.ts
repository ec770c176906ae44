/** A journal of copies during whose n-th write the process is gone. */
import type { CopyJournal } from '../../src/map/state/copy-journal.ts'

const writes = new Set<string | symbol>([
  'mailbox',
  'bind',
  'amend',
  'drop',
  'record',
  'forget',
  'startAnew',
])

/** `crash` is called before the write is made, or after it is durable; it does not return. */
export function crashingJournal(
  journal: CopyJournal,
  at: { readonly write: number; readonly when: 'before' | 'after' },
  crash: () => never,
): CopyJournal {
  let count = 0
  return new Proxy(journal, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key)
      if (typeof value !== 'function') return value
      return (...args: readonly unknown[]): unknown => {
        const isNow = writes.has(key) && ++count === at.write
        if (isNow && at.when === 'before') crash()
        const result: unknown = Reflect.apply(value, target, args)
        if (isNow) crash()
        return result
      }
    },
  })
}
