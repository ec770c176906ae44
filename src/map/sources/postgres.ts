/** PostgreSQL: the one file that knows `pg`. Rows come by cursor, some at a time. */
import pg from 'pg'
import Cursor from 'pg-cursor'
import { waits } from '../../base/limit.ts'
import type { SqlConfig } from '../../config/database-config.ts'
import type { Cells, DatabaseSecrets } from './database-source.ts'
import { failureOf } from './source-failure.ts'

const batchRows = 2000

/** The rows of the query, as text. Throws SourceFailure. */
export async function* readPostgres(
  config: SqlConfig,
  secrets: DatabaseSecrets,
  signal: AbortSignal,
): AsyncGenerator<readonly Cells[]> {
  const client = new pg.Client(optionsOf(config, secrets))
  let lost: Error | undefined
  // What happens to the connection between two reads; the next read fails, and says less.
  client.on('error', (error) => {
    lost ??= error
  })
  const stop = (): void => void client.end().catch(() => undefined)
  signal.addEventListener('abort', stop)
  try {
    await client.connect()
    const cursor = client.query(
      new Cursor<Cells>(config.query, [], { rowMode: 'array', types: asText }),
    )
    for (;;) {
      const rows = await cursor.read(batchRows)
      if (lost !== undefined) throw lost
      if (rows.length === 0) break
      yield rows
    }
  } catch (error) {
    throw failureOf(error, error instanceof pg.DatabaseError && !isPassing(error.code))
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
}

/** As the server writes it. */
const asText = {
  getTypeParser: () => (text: string | Buffer) => text.toString(),
}

/** SQLSTATE classes: connection, transaction undone, no resources, intervention, system error. */
function isPassing(code = ''): boolean {
  return /^(?:08|40|53|57|58)/.test(code)
}

function optionsOf(config: SqlConfig, { password, ca }: DatabaseSecrets): pg.ClientConfig {
  const { host, port, socket, user, database, tls } = config
  return {
    host: socket ?? host,
    port,
    user,
    database,
    // As a function, it is not looked for anywhere else.
    password: () => password ?? '',
    ssl: tls === 'none' ? false : { rejectUnauthorized: true, ...(ca === undefined ? {} : { ca }) },
    connectionTimeoutMillis: Math.min(waits.backendConnectMs, config.timeoutMs),
    application_name: 'mailmux build-map',
  }
}
