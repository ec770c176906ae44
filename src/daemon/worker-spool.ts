/** The spool as a worker uses it: it puts messages in, and tells the queue. */
import type { Log } from '../base/log.ts'
import type { Config } from '../config/config.ts'
import { FileSpoolWriter } from '../spool/file-spool-writer.ts'
import { spoolPlaces } from '../spool/spool-places.ts'
import { realDisk } from '../storage/disk.ts'
import { RoomWatch } from '../storage/room-watch.ts'
import { tell } from './supervised.ts'
import { systemClock } from '../backend/system-clock.ts'

export function openWorkerSpool(
  { stateDir, spool }: Pick<Config, 'stateDir' | 'spool'>,
  log: Log,
): FileSpoolWriter {
  const news = new News()
  const room = new RoomWatch(stateDir)
  return new FileSpoolWriter({
    disk: realDisk,
    places: spoolPlaces(stateDir),
    caps: spool,
    clock: systemClock,
    isDiskShort: () => room.isShort,
    suspect: (detail) => log('internal', { reason: 'spool_eio', detail }),
    accepted(id, bytes, { session, peer, recipients }) {
      log('spool.accepted', { id, session, peer, recipients: recipients.length, bytes })
      news.add(id)
    },
  })
}

/** What comes in one turn is told together. */
class News {
  #ids: string[] = []

  add(id: string): void {
    if (this.#ids.length === 0) setImmediate(() => this.#tell())
    this.#ids.push(id)
  }

  #tell(): void {
    const ids = this.#ids
    this.#ids = []
    tell({ kind: 'spooled', ids })
  }
}
