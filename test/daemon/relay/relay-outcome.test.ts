/** The table of what a client hears, row by row, beside the promises that it must keep. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  firstOf,
  type Outcome,
  type OutcomeKind,
  outcomeOf,
  verdictOn,
  verdicts,
} from '../../../src/daemon/relay/relay-outcome.ts'
import { reply } from '../../../src/mail/reply.ts'

const kinds: readonly OutcomeKind[] = ['accepted', 'refused', 'deferred', 'unknown', 'held']

function outcome(kind: OutcomeKind): Outcome {
  return { kind, reply: reply(451, '4.0.0', kind) }
}

/** Every list of up to `most` outcomes. */
function* lists(most: number): Generator<Outcome[]> {
  if (most === 0) return
  for (const kind of kinds) {
    yield [outcome(kind)]
    for (const rest of lists(most - 1)) yield [outcome(kind), ...rest]
  }
}

test('every mixture of outcomes has its verdict, and the promises hold in each', () => {
  const seen = new Set<string>()
  for (const outcomes of lists(5)) {
    const verdict = verdictOn(outcomes)
    const has = (kind: OutcomeKind): boolean => outcomes.some((one) => one.kind === kind)
    const only = (kind: OutcomeKind): boolean => outcomes.every((one) => one.kind === kind)
    const what = outcomes.map(({ kind }) => kind).join()
    seen.add([...new Set(outcomes.map(({ kind }) => kind))].sort().join(' '))
    // 250 without the spool only where every back-end has it.
    assert.equal(verdict === 'accept', only('accepted'), what)
    // A refusal for good only where all refuse for good: an unknown outcome is never one.
    assert.equal(verdict === 'refuse', only('refused'), what)
    // The client keeps it exactly as long as nobody else is answerable for it.
    const isTaken = has('accepted') || has('held')
    assert.equal(verdict === 'refuse' || verdict === 'defer', !isTaken, what)
  }
  assert.deepEqual([...seen].sort(), Object.keys(verdicts).sort(), 'no row is beyond reach')
  assert.equal(seen.size, 2 ** kinds.length - 1)
})

test('a verdict does not depend on the order or number of addresses', () => {
  for (const outcomes of lists(4)) {
    assert.equal(verdictOn(outcomes.toReversed()), verdictOn(outcomes))
    assert.equal(verdictOn([...outcomes, ...outcomes]), verdictOn(outcomes))
  }
})

test('a reply is an outcome by its class', () => {
  const told = [200, 250, 252, 299, 400, 421, 450, 499, 500, 550, 599].map(
    (code) => outcomeOf(reply(code, '', '')).kind,
  )
  assert.deepEqual(told, [
    ...Array.from({ length: 4 }, () => 'accepted'),
    ...Array.from({ length: 4 }, () => 'deferred'),
    ...Array.from({ length: 3 }, () => 'refused'),
  ])
})

test('of several the first of the kind that is wanted most is told', () => {
  const outcomes = [outcome('refused'), outcome('unknown'), outcome('deferred')]
  assert.equal(firstOf(outcomes, ['deferred', 'refused']), outcomes[2])
  assert.equal(firstOf(outcomes, ['held', 'unknown', 'refused']), outcomes[1])
  assert.equal(firstOf(outcomes, ['accepted']), undefined)
})
