/** What a thread finds in its lines and only the main thread can tell or keep; replayed in order. */
import type { Position } from '../../base/position.ts'
import { hasOtherLook } from '../lookalikes.ts'
import { keptProblems } from '../problems.ts'
import type { KeyedForm, PatternLine } from '../sources/keyed-lines.ts'
import type { Forward, SourceContext, SourceFile } from '../sources/source-context.ts'

/** Lines count from where the part begins. */
export type LineEvent =
  | {
      readonly kind: 'error' | 'warn'
      readonly code: string
      readonly at: Position
      readonly message: string
      readonly hint: string | undefined
    }
  | { readonly kind: 'lookalike'; readonly key: string; readonly at: Position }
  | { readonly kind: 'forward'; readonly forward: Forward }
  | {
      readonly kind: 'pattern'
      readonly key: string
      readonly value: string
      readonly line: number
    }

/** Stands in for what the main thread has. */
export class LineRecorder {
  events: LineEvent[] = []
  more = { errors: 0, warnings: 0 }
  #errors = 0
  #warnings = 0

  readonly problems = {
    error: (code: string, at: Position, message: string, hint?: string): void => {
      // No more are kept of all parts together.
      if (this.#errors++ >= keptProblems) this.more.errors++
      else this.events.push({ kind: 'error', code, at, message, hint })
    },
    warn: (code: string, at: Position, message: string, hint?: string): void => {
      if (this.#warnings++ >= keptProblems) this.more.warnings++
      else this.events.push({ kind: 'warn', code, at, message, hint })
    },
  }

  readonly lookalikes = {
    note: (key: string, at: Position): void => {
      if (hasOtherLook(key)) this.events.push({ kind: 'lookalike', key, at })
    },
  }

  readonly forwards = {
    push: (forward: Forward): void => void this.events.push({ kind: 'forward', forward }),
  }

  takePattern({ key, value, line }: PatternLine): void {
    this.events.push({ kind: 'pattern', key, value, line })
  }

  clear(): void {
    this.events = []
    this.more = { errors: 0, warnings: 0 }
    this.#errors = 0
    this.#warnings = 0
  }
}

export interface Replay {
  readonly file: SourceFile
  /** Before the part. */
  readonly lines: number
  readonly context: SourceContext
  readonly form: KeyedForm
}

export function replay(events: readonly LineEvent[], { file, lines, context, form }: Replay) {
  const { problems, lookalikes, forwards } = context
  const move = (at: Position): Position => ({ ...at, line: at.line + lines })
  for (const event of events) {
    switch (event.kind) {
      case 'error':
      case 'warn':
        problems[event.kind](event.code, move(event.at), event.message, event.hint)
        break
      case 'lookalike':
        lookalikes.note(event.key, move(event.at))
        break
      case 'forward':
        forwards.push({ ...event.forward, at: move(event.forward.at) })
        break
      case 'pattern':
        form.takePattern?.({ key: event.key, value: event.value, file, line: event.line + lines })
        break
    }
  }
}
