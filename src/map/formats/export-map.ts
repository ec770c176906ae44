/** The map in force in a foreign form. */
import { MailmuxError } from '../../base/error.ts'
import type { Config } from '../../config/config.ts'
import { parseLogin } from '../../mail/login-name.ts'
import type { TracingReader } from '../open.ts'
import type { MapFormat, Printed } from './map-format.ts'

/** Lines, and notes of what the form has no words for. Throws USAGE where the form is not written. */
export function exportMap(
  format: MapFormat,
  map: TracingReader,
  config: Config,
): Iterable<Printed> {
  const { print } = format
  if (print === undefined) throw new MailmuxError('USAGE', `${format.name} is only read`)
  const { rules, patterns, queryKeys } = map.lookup
  return print({
    config,
    rules,
    patterns,
    queryKeys,
    records: () => map.records(),
    find: (key) => map.lookup.find(key),
    login: (name) => {
      const address = parseLogin(name, config.naming)
      return address && map.resolve('retrieval', address, config.naming)
    },
  })
}
