/** Moves as a person reads of them. */
import { type ErrorCode, errorCatalogue } from '../base/error.ts'
import type { Move } from '../map/state/move-journal.ts'
import type { SettledMove } from './list-moves.ts'
import { describeAmount, describeEstimate } from './migration-report.ts'
import { describeMinute, describeMoment, describeWhen } from './moment.ts'
import { isFlipped, isOver } from './move-machine.ts'
import type { MoveReport } from './move-user.ts'

/** A move under way, as one line at the bottom of a terminal. */
export class MoveView {
  readonly notes = new Set<string>()
  readonly #startedAt: number
  readonly #tell: (line: string) => void
  #move: Move | undefined
  #toldAt: number | undefined
  #messages = 0
  #bytes = 0

  /** `now`: monotonic milliseconds. `tell`: takes what is to stay, when the user moves. */
  constructor(now: number, tell: (line: string) => void) {
    this.#startedAt = now
    this.#tell = tell
  }

  /** `nowMs`: milliseconds since 1970. */
  step(move: Move, nowMs: number): void {
    this.#move = move
    const { at } = move.details
    if (at === undefined || at === this.#toldAt || at <= nowMs) return
    this.#toldAt = at
    this.#tell(describeWhen(move.user, at, nowMs))
  }

  progress({ messages, bytes }: { readonly messages: number; readonly bytes: number }): void {
    this.#messages += messages
    this.#bytes += bytes
  }

  note(text: string): void {
    this.notes.add(text)
  }

  line(now: number): string {
    const seconds = Math.round((now - this.#startedAt) / 1000)
    const { user = '', step = 'planned' } = this.#move ?? {}
    const amount = describeAmount(this.#messages, this.#bytes)
    const at = this.#move?.details.at
    const until = step === 'waiting' && at !== undefined ? ` until ${describeMoment(at)}` : ''
    return `${user}: ${step}${until}, ${amount} copied, ${seconds} s`
  }
}

/** How `user move` has ended. */
export function describeMoved({ move, result, estimate, record, bad }: MoveReport): string[] {
  const { user, source, target } = move
  const who = `${user}: ${source} → ${target}`
  if (result === 'there') return [`${user} lives at ${target} already`]
  if (result === 'planned' && estimate !== undefined) {
    return [`${who}: ${describeEstimate(estimate)}`]
  }
  if (record === undefined) return []
  const { copied, bytes, freezeMs, stragglers, error } = record.details
  if (result === 'waiting') return [`${who}: copied; ${describeAwaited(record, 0)}`]
  if (result === 'aborted') return [`${who}: given up; ${user} lives at ${source}`]
  const home = isFlipped(record.step) ? target : source
  if (error !== undefined) {
    const { message, code } = error
    return [`${who}: failed: ${message} (${code}); ${user} lives at ${home}; ${hintOf(code)}`]
  }
  const parts = [
    `${who}: done`,
    `${describeAmount(copied, bytes)} copied`,
    `frozen for ${((freezeMs ?? 0) / 1000).toFixed(1)} s`,
    ...(stragglers === 0 ? [] : [`${stragglers} came to ${source} since and were brought over`]),
    ...(bad.length === 0 ? [] : [`${bad.length} left behind`]),
  ]
  return [parts.join('; ')]
}

function hintOf(code: string): string {
  return code in errorCatalogue ? errorCatalogue[code as ErrorCode].hint : ''
}

/** As design has it: 75 where another run may do better. */
export function moveExitCode({ result, record }: MoveReport): number {
  if (result !== 'failed') return 0
  return exitOf(record?.details.error?.code ?? 'INTERNAL')
}

/** What a move waits for, for `user moves`. */
export function describeAwaited(move: Move, retainMs: number): string {
  const { step, user, target, details } = move
  const again = `run \`mailmux user move ${user} --to ${target}\``
  switch (step) {
    case 'kept': {
      const until = (details.flippedAt ?? move.changedAt) + retainMs
      return `kept at ${move.source} until ${describeMinute(until)}`
    }
    case 'purged':
    case 'ended':
    case 'aborted':
      return ''
    case 'purging':
      return 'run `mailmux user moves --purge` again'
    case 'waiting':
      return [`moves at ${describeMoment(details.at ?? 0)}`, ...whyNot(details)].join('; ')
    default:
      return [...whyNot(details), again, ...describeTime(move)].join('; ')
  }
}

function whyNot({ error }: Move['details']): string[] {
  return error === undefined ? [] : [error.message]
}

function describeTime({ step, details: { at } }: Move): string[] {
  if (at === undefined || isOver(step) || isFlipped(step)) return []
  return [`to move at ${describeMoment(at)}`]
}

/** One line about a move that was swept, purged, or gone on with. */
export function describeSettled({
  user,
  source,
  swept = 0,
  purged,
  moved,
  notes = [],
  problems,
  error,
}: SettledMove): string {
  const parts = [
    ...(moved === undefined ? [] : [`lives at ${moved} now`]),
    ...(swept === 0 && (purged ?? moved) !== undefined
      ? []
      : [`${swept} brought over from ${source}`]),
    ...(purged === undefined ? [] : [`${purged} purged at ${source}`]),
    ...notes,
    ...problems,
  ]
  return `${user}: ${error === undefined ? parts.join('; ') : error.message}`
}

/** 75 where all that failed may do better later. */
export function settledExitCode(settled: readonly SettledMove[]): number {
  const failed = settled.filter(({ error, problems }) => error !== undefined || problems.length > 0)
  if (failed.length === 0) return 0
  const mayPass = failed.every(({ error }) => error !== undefined && exitOf(error.code) === 75)
  return mayPass ? 75 : 1
}

function exitOf(code: string): number {
  return code in errorCatalogue ? errorCatalogue[code as ErrorCode].exit : 70
}
