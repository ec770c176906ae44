/** MySQL and MariaDB: the one file that knows `mysql2`. Rows come as a stream that can be held. */
import type { Readable } from 'node:stream'
import { createConnection, type Connection, type ConnectionOptions } from 'mysql2'
import { waits } from '../../base/limit.ts'
import type { SqlConfig } from '../../config/database-config.ts'
import type { Cells, DatabaseSecrets } from './database-source.ts'
import { failureOf } from './source-failure.ts'

const batchRows = 2000

/** The rows of the query, as text. Throws SourceFailure. */
export async function* readMysql(
  config: SqlConfig,
  secrets: DatabaseSecrets,
  signal: AbortSignal,
): AsyncGenerator<readonly Cells[]> {
  const connection = createConnection(optionsOf(config, secrets))
  let lost: Error | undefined
  let stream: Readable | undefined
  // A query that streams is not told by itself that its connection is gone.
  connection.on('error', (error) => {
    lost ??= error
    stream?.destroy(error)
  })
  const stop = (): void => connection.destroy()
  signal.addEventListener('abort', stop)
  try {
    await connected(connection)
    stream = connection.query(config.query).stream({ highWaterMark: batchRows })
    let batch: Cells[] = []
    for await (const row of stream) {
      if (batch.push(textsOf(row as readonly (Buffer | null)[])) < batchRows) continue
      yield batch
      batch = []
    }
    if (lost !== undefined) throw lost
    yield batch
  } catch (error) {
    throw failureOf(lost ?? error, isRefusal(lost ?? error))
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
}

function connected(connection: Connection): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  connection.connect((error) => (error === null ? resolve() : reject(error)))
  return promise
}

function textsOf(cells: readonly (Buffer | null)[]): Cells {
  return cells.map((cell) => cell?.toString() ?? null)
}

/** Numbers of the server's answers that pass: too many connections, shut down, killed, timed out. */
const passing = new Set([1040, 1053, 1184, 1203, 1205, 1317, 1927, 1969, 3024])

function isRefusal(error: unknown): boolean {
  const { errno, sqlState } = { ...(error as object) } as { errno?: number; sqlState?: string }
  return sqlState !== undefined && errno !== undefined && !passing.has(errno)
}

function optionsOf(config: SqlConfig, { password, ca }: DatabaseSecrets): ConnectionOptions {
  const { host, port, socket, user, database, tls } = config
  const verified = { rejectUnauthorized: true, verifyIdentity: true }
  return {
    ...(socket === undefined ? { host, port } : { socketPath: socket }),
    user,
    database,
    ...(password === undefined ? {} : { password }),
    ...(tls === 'none' ? {} : { ssl: { ...verified, ...(ca === undefined ? {} : { ca }) } }),
    charset: 'utf8mb4',
    rowsAsArray: true,
    typeCast: (field) => field.buffer(),
    connectTimeout: Math.min(waits.backendConnectMs, config.timeoutMs),
  }
}
