/** The zone that this process believes to be in, for all tests of a file. */
import { after, before } from 'node:test'

export function inTimeZone(name: string): void {
  const zone = process.env['TZ']
  before(() => {
    process.env['TZ'] = name
  })
  after(() => {
    if (zone === undefined) delete process.env['TZ']
    else process.env['TZ'] = zone
  })
}
