import { Args } from '@oclif/core'
import { MailmuxError } from '../../base/error.ts'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { style } from '../../cli/style.ts'
import { formatTable } from '../../cli/table.ts'
import type { SessionView } from '../../control/session-messages.ts'
import { whoIsThere } from '../../control/who.ts'
import { whoColumns, whoRows } from '../../control/who-table.ts'
import { exitCodeOf } from '../../map/answer.ts'
import { showUser } from '../../map/listing.ts'
import { openMapInForce } from '../../map/open.ts'

interface Whereabouts {
  readonly user: string
  /** Back-ends; absent where there is none. */
  readonly mail?: string
  readonly logins?: string
  /** Absent where no daemon runs. */
  readonly sessions?: readonly SessionView[]
}

export default class UserWhere extends MailmuxCommand {
  static override summary = 'Print where a user is: the back-end, and the sessions that are open.'
  static override examples = ['<%= config.bin %> <%= command.id %> ann@example.com']
  static override args = {
    user: Args.string({ required: true, description: 'name@domain, or a name of default_domain' }),
  }

  async run(): Promise<Whereabouts> {
    const { args, flags } = await this.parse(UserWhere)
    const config = await this.loadConfig(flags)
    const map = openMapInForce(config, (problem) => this.doubt(problem), 'few questions')
    try {
      const { user, routes, delivery, retrieval } = showUser(map, config, args.user)
      const sessions = await sessionsOf(config.runDir, user)
      this.log(style.bold(user))
      this.log(`  mail    → ${routes.delivery}`)
      this.log(`  logins  → ${routes.retrieval}`)
      if (sessions === undefined) this.log('  no daemon is running')
      else if (sessions.length === 0) this.log('  no sessions')
      else for (const line of formatTable(whoColumns, whoRows(sessions))) this.log(line)
      process.exitCode = exitCodeOf(retrieval)
      return {
        user,
        ...(delivery.backend === undefined ? {} : { mail: delivery.backend }),
        ...(retrieval.backend === undefined ? {} : { logins: retrieval.backend }),
        ...(sessions === undefined ? {} : { sessions }),
      }
    } finally {
      map.close()
    }
  }
}

/** Undefined where no daemon answers. */
async function sessionsOf(runDir: string, user: string): Promise<SessionView[] | undefined> {
  try {
    return [...(await whoIsThere(runDir, { user })).sessions]
  } catch (error) {
    if (error instanceof MailmuxError && error.code === 'DAEMON_UNREACHABLE') return undefined
    throw error
  }
}
