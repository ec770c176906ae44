import { Args, Flags } from '@oclif/core'
import { MailmuxCommand } from '../../cli/base-command.ts'
import type { Note } from '../../map/formats/fact.ts'
import { mapFormats } from '../../map/formats/formats.ts'
import { describeNote, importMap, storeSources } from '../../map/formats/import-map.ts'
import type { WrittenSources } from '../../map/formats/write-sources.ts'

interface ImportJson {
  /** By name of the source; written already where `files` names them. */
  readonly sources: Readonly<Record<string, string>>
  readonly files: readonly string[]
  /** Lines for `backends` of the config. */
  readonly backends: readonly string[]
  readonly notes: readonly Note[]
}

export default class MapImport extends MailmuxCommand {
  static override summary = 'Turn a map of other software into sources of ours.'
  static override description =
    'What cannot be carried over is listed on stderr with its place, and the exit status is 65 ' +
    'unless --partial. Servers that the config has no back-end for are printed as lines for it.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> perdition-popmap /etc/perdition/popmap',
    '<%= config.bin %> <%= command.id %> postfix-transport transport --into /etc/mailmux',
  ]
  static override args = {
    format: Args.string({
      required: true,
      options: [...mapFormats.keys()],
      description: 'see docs/formats.md',
    }),
    file: Args.string({ required: true, multiple: true, description: 'the text, not a .db file' }),
  }
  static override flags = {
    into: Flags.string({ summary: 'Write the sources into this folder.', helpValue: 'DIR' }),
    force: Flags.boolean({ summary: 'Replace files that are there.', dependsOn: ['into'] }),
    backend: Flags.string({ summary: 'For forms that name no server.', helpValue: 'NAME' }),
    partial: Flags.boolean({ summary: 'Exit 0 also where something is left out.' }),
  }

  async run(): Promise<ImportJson> {
    const { args, flags } = await this.parse(MapImport)
    const format = mapFormats.get(args.format)
    if (format === undefined) throw new TypeError(args.format)
    const config = await this.loadConfigIfAny(flags)
    const { file: files } = args
    const written = await importMap({ format, files, backend: flags.backend, config })
    const stored =
      flags.into === undefined ? [] : await storeSources(written, flags.into, flags.force)
    this.#show(written, stored)
    const isWhole = written.notes.every(({ isCarried = false }) => isCarried)
    if (!isWhole && !flags.partial) process.exitCode = 65
    return {
      sources: Object.fromEntries(written.texts),
      files: stored,
      backends: written.missing,
      notes: written.notes,
    }
  }

  #show({ texts, missing, notes }: WrittenSources, stored: readonly string[]): void {
    if (this.jsonEnabled()) return
    for (const path of stored) this.log(`written: ${path}`)
    if (stored.length === 0) {
      for (const [name, text] of texts) {
        if (texts.size > 1) this.log(`# ${name}`)
        this.log(text.trimEnd())
      }
    }
    this.tell(
      ...notes.map(describeNote),
      ...(missing.length === 0 ? [] : ['for backends in mailmux.yaml:', ...missing]),
    )
  }
}
