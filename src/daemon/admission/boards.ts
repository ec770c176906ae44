/** The counts that admission rests on, in one piece of shared memory. */
import { randomBytes } from 'node:crypto'
import { MailmuxError, messageOf } from '../../base/error.ts'
import type { Config } from '../../config/config.ts'
import {
  createSharedBytes,
  makeOwnBytes,
  openSharedBytes,
  type OwnedBytes,
  type SharedBytes,
} from '../../storage/shared-bytes.ts'
import { workersOf } from '../session-share.ts'
import { boardBytes, CountBoard } from './count-board.ts'

const boardNames = [
  'sessions',
  'connections',
  'messages',
  'recipients',
  'brakes',
  'failures',
  'wrongPairs',
] as const
export type BoardName = (typeof boardNames)[number]
export type Boards = Readonly<Record<BoardName, CountBoard>>

/** Where workers have the memory open: the first that is free beside their output and channel. */
export const boardDescriptor = 4

/** What a worker needs to take part. */
export interface BoardShare {
  readonly columns: number
  readonly column: number
  readonly seed: readonly [number, number]
  /** Random octets in base64, for what nobody but the workers may foretell. */
  readonly secret: string
}

/** Workers that are leaving, of several restarts, have theirs beside those that came in their place. */
const columnsFor = (workers: number): number => Math.max(16, workers * 4 + 8)

function boardsIn(bytes: SharedBytes, share: BoardShare): Boards {
  const made = boardNames.map((name, index) => {
    const offset = index * boardBytes(share.columns)
    return [name, new CountBoard({ bytes, offset, ...share })]
  })
  return Object.fromEntries(made) as Record<BoardName, CountBoard>
}

export interface BoardOptions {
  readonly descriptor?: number
  /** The counts cannot be read or written; told once. Nobody is refused for what is not known. */
  readonly onFault?: (error: unknown) => void
}

/** For a worker. Without a share it counts by itself what it sees. */
export function openBoards(share: BoardShare | undefined, options: BoardOptions = {}): Boards {
  const { descriptor = boardDescriptor, onFault = () => undefined } = options
  if (share !== undefined) return boardsIn(openSharedBytes(descriptor, onFault), share)
  const bytes = makeOwnBytes(boardNames.length * boardBytes(1))
  return boardsIn(bytes, { columns: 1, column: 0, ...randomShare() })
}

function randomShare(): Pick<BoardShare, 'seed' | 'secret'> {
  const random = randomBytes(8)
  const seed = [random.readUInt32LE(0), random.readUInt32LE(4)] as const
  return { seed, secret: randomBytes(32).toString('base64') }
}

/** The supervisor's: hands out columns, and clears those of workers that are gone. */
export class BoardKeeper implements Disposable {
  readonly #bytes: OwnedBytes
  readonly #share: Omit<BoardShare, 'column'>
  readonly #boards: Boards
  readonly #free: number[]

  private constructor(bytes: OwnedBytes, share: Omit<BoardShare, 'column'>) {
    this.#bytes = bytes
    this.#share = share
    this.#boards = boardsIn(bytes, { ...share, column: 0 })
    this.#free = Array.from({ length: share.columns }, (_, column) => column)
  }

  /** Throws RUN_DIR_UNUSABLE. */
  static async create({
    runDir,
    workers,
  }: Pick<Config, 'runDir' | 'workers'>): Promise<BoardKeeper> {
    const columns = columnsFor(workersOf({ workers }))
    const bytes = await createSharedBytes(runDir, boardNames.length * boardBytes(columns)).catch(
      (error: unknown) => {
        const text = `${runDir}: ${messageOf(error)}`
        throw new MailmuxError('RUN_DIR_UNUSABLE', text, { cause: error })
      },
    )
    return new BoardKeeper(bytes, { columns, ...randomShare() })
  }

  /** For workers to inherit as `boardDescriptor`. */
  get descriptor(): number {
    return this.#bytes.descriptor
  }

  /** So many more workers can be counted. */
  get free(): number {
    return this.#free.length
  }

  /** Undefined where more workers live than there are columns: one more counts for itself alone. */
  take(): BoardShare | undefined {
    const column = this.#free.shift()
    return column === undefined ? undefined : { ...this.#share, column }
  }

  /** The worker that had it has ended. */
  giveBack(share: BoardShare | undefined): void {
    if (share === undefined) return
    const { column } = share
    for (const board of Object.values(this.#boards)) board.clear(column)
    this.#free.push(column)
  }

  [Symbol.dispose](): void {
    this.#bytes[Symbol.dispose]()
  }
}
