import { existsSync } from 'node:fs'
import { Flags } from '@oclif/core'
import { MailmuxError } from '../base/error.ts'
import { MailmuxCommand } from '../cli/base-command.ts'
import type { Config } from '../config/config.ts'
import { findConfig } from '../config/load.ts'
import { controlPath } from '../control/path.ts'
import { type BuildOptions, type BuildReport, buildMap } from '../map/build.ts'
import { checkMap } from '../map/check-map.ts'
import { describeBuild } from '../map/describe-build.ts'
import { describeChange, describeTotals } from '../map/describe-difference.ts'

export default class BuildMap extends MailmuxCommand {
  static override summary = 'Compile the map sources into the database that the daemons read.'
  static override description =
    'All or nothing: where a source has an error, every error is printed with its place, ' +
    'and the database in force stays as it is. Running daemons take it by `mailmux reload`.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --check --config /etc/mailmux/mailmux.yaml',
  ]
  static override flags = {
    check: Flags.boolean({
      summary: 'Build nothing; exit 78 unless the map in force is what the sources say.',
    }),
    diff: Flags.boolean({ dependsOn: ['check'], summary: 'Print what would change.' }),
    force: Flags.boolean({ summary: 'Publish also where more than map.max_changed changes.' }),
    strict: Flags.boolean({ summary: 'Take warnings as errors.' }),
    watch: Flags.boolean({
      relationships: [{ type: 'none', flags: ['check', 'force'] }],
      summary: 'Build, and again whenever a text source or the config has changed, until SIGTERM.',
    }),
  }

  async run(): Promise<object | undefined> {
    const { flags } = await this.parse(BuildMap)
    if (flags.watch) return this.#watch(await findConfig(flags.config), flags.strict)
    const config = await this.loadConfig(flags)
    return flags.check ? this.#check(config, flags) : this.#build(config, flags)
  }

  async #watch(file: string, strict: boolean): Promise<undefined> {
    const { watchMap } = await import('../daemon/watch-map.ts')
    await watchMap(file, { strict }, async (build) => {
      const lines = this.jsonEnabled() ? [JSON.stringify(build.json)] : build.lines
      this.#warn(build)
      for (const line of lines) await this.printLine(line)
      if (!this.jsonEnabled()) for (const failure of build.failures) this.printFailure(failure)
      await this.flushLines()
    })
  }

  async #build(config: Config, options: BuildOptions): Promise<BuildReport> {
    const report = await buildMap(config, options)
    this.#warn(report)
    this.log(describeBuild(report))
    if (!report.unchanged && existsSync(controlPath(config.runDir))) {
      this.log('a daemon is running: `mailmux reload` makes it take the new map')
    }
    return report
  }

  async #check(config: Config, flags: { strict: boolean; diff: boolean }): Promise<object> {
    const report = await checkMap(config, flags, (change) => {
      if (flags.diff) this.log(describeChange(change))
    })
    this.#warn(report)
    if (!report.equal) {
      if (flags.diff) for (const line of describeTotals(report.difference)) this.log(line)
      const what = `${report.database}: the sources say something else than generation ${report.generation}`
      return this.failWith(new MailmuxError('MAP_OUT_OF_DATE', what), report)
    }
    this.log(`${report.database}: generation ${report.generation} is what the sources say`)
    return report
  }

  #warn({ warnings, warningCount }: Pick<BuildReport, 'warnings' | 'warningCount'>): void {
    if (!this.jsonEnabled()) this.warnOf(warnings, warningCount) // Else they are in the report.
  }
}
