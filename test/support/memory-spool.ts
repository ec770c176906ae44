/** A spool that keeps in memory what it is given, or refuses it. */
import { MailmuxError } from '../../src/base/error.ts'
import type {
  SpooledContent,
  SpooledEnvelope,
  SpoolWriter,
} from '../../src/spool/spooled-message.ts'

export interface Kept {
  readonly id: string
  readonly envelope: SpooledEnvelope
  /** As latin1 text. */
  readonly content: string
  readonly kind: SpooledContent['kind']
}

export type SpoolFault = 'SPOOL_FULL' | 'SPOOL_FAILED'

export class MemorySpool implements SpoolWriter {
  readonly kept: Kept[] = []
  /** What it answers instead of taking something. */
  fault: SpoolFault | undefined
  /** Waited for before anything is taken. */
  gate: Promise<void> = Promise.resolve()
  attempts = 0
  isCrowded = false

  constructor(fault?: SpoolFault) {
    this.fault = fault
  }

  async accept(envelope: SpooledEnvelope, content: SpooledContent): Promise<string> {
    this.attempts++
    await this.gate
    if (this.fault !== undefined) throw new MailmuxError(this.fault, 'as the test wants it')
    const id = `Q${this.kept.length + 1}`
    const { kind } = content
    this.kept.push({ id, envelope, content: textOf(content).toString('latin1'), kind })
    return id
  }

  /** `owed ADDRESS` and `refused ADDRESS CODE` of everything kept, in order. */
  get states(): string[] {
    return this.kept.flatMap(({ envelope }) =>
      envelope.recipients.map(({ address, state }) => {
        if (state.kind === 'refused') return `refused ${address} ${state.reply.code}`
        return `${state.kind === 'owed' ? 'owed' : state.action} ${address}`
      }),
    )
  }
}

function textOf(content: SpooledContent): Buffer {
  return content.kind === 'memory'
    ? Buffer.concat(content.parts)
    : content.file.readBack(0, content.lengthBytes)
}
