/**
 * Looks for inputs that make a parser do what none before made it do. How it works:
 *
 * 1. A target plays an input, checks what it promises, and tells what it saw, in order.
 * 2. Of two things that were seen in a row, each pair is a feature. An input with a new one is kept,
 *    cut down to what it needs for that, and others are made of it: so inputs grow into where parsers
 *    lead them.
 * 3. What was kept is in `corpus/TARGET.txt`, an input a line, as JSON strings of octets: it is played
 *    each time before anything new. script/fuzz adds lines; none is ever taken away.
 * 4. An input that breaks a promise is cut down as well, and is the failure's message; script/fuzz
 *    keeps it, too.
 */
import assert from 'node:assert/strict'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'

export interface Target {
  readonly name: string
  /** What its inputs are made of, besides octets. */
  readonly words: readonly string[]
  /** Inputs to begin with. */
  readonly seeds: readonly string[]
  /** Throws where a promise is broken. */
  readonly play: (input: string) => readonly string[]
}

export interface ExploreOptions {
  readonly runs: number
  readonly seed: number
  /** Whether what is found goes into the corpus. */
  readonly keeps: boolean
}

const longestInput = 4096
/** Beyond every limit of a line or a literal. */
const longestRun = 70_000
/** How often it is tried to make one input shorter. */
const mostCuts = 1000
/** What people may look at, and what is played each time. */
const longestKept = 300

/** Numbers below a bound, the same ones for a seed (mulberry32). */
function drawing(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

class Exploration {
  readonly #target: Target
  readonly #options: ExploreOptions
  readonly #draw: (below: number) => number
  readonly #features = new Set<string>()
  readonly #inputs: string[] = []

  constructor(target: Target, options: ExploreOptions) {
    this.#target = target
    this.#options = options
    this.#draw = drawing(options.seed)
  }

  /** How many inputs were new. */
  run(): number {
    const known = readCorpus(this.#target.name)
    for (const input of [...known, ...this.#target.seeds]) {
      this.#learn(this.#featuresOf(input))
      this.#inputs.push(input)
    }
    const before = this.#inputs.length
    for (let count = 0; count < this.#options.runs; count++) this.#try(this.#mutated())
    return this.#inputs.length - before
  }

  #try(input: string): void {
    const isNew = this.#learn(this.#featuresOf(input))
    if (isNew.length === 0) return
    const least = shrink(input, (shorter) => {
      const features = this.#featuresOf(shorter)
      return isNew.every((feature) => features.includes(feature))
    })
    this.#inputs.push(least)
    if (least.length <= longestKept) this.#keep(least)
  }

  /** Those of them that are new. */
  #learn(features: readonly string[]): string[] {
    const isNew = features.filter((feature) => !this.#features.has(feature))
    for (const feature of isNew) this.#features.add(feature)
    return isNew
  }

  #featuresOf(input: string): string[] {
    try {
      const seen = ['', ...this.#target.play(input), '']
      return seen.slice(1).map((what, index) => `${seen[index]} > ${what}`)
    } catch (error) {
      const least = shrink(input, (shorter) => this.#breaks(shorter))
      this.#keep(least)
      const what = `${this.#target.name}, seed ${this.#options.seed}: ${JSON.stringify(least)}`
      throw new Error(what, { cause: error })
    }
  }

  #breaks(input: string): boolean {
    try {
      this.#target.play(input)
      return false
    } catch {
      return true
    }
  }

  #keep(input: string): void {
    if (!this.#options.keeps) return
    appendFileSync(corpusOf(this.#target.name), `${JSON.stringify(input)}\n`)
  }

  #mutated(): string {
    let input = this.#inputs[this.#draw(this.#inputs.length)] ?? ''
    for (let count = this.#draw(4); count >= 0; count--) input = this.#changed(input)
    return input
  }

  #changed(input: string): string {
    const [start, end] = [this.#draw(input.length + 1), this.#draw(input.length + 1)].sort(
      (one, other) => one - other,
    ) as [number, number]
    const [head, middle, tail] = [input.slice(0, start), input.slice(start, end), input.slice(end)]
    const rest = middle + tail
    switch (this.#draw(7)) {
      case 0:
        return head + tail
      case 1:
        return head + this.#word() + rest
      case 2:
        return head + String.fromCharCode(this.#draw(256)) + rest.slice(1)
      case 3:
        return bounded(head + middle + middle + tail)
      case 4: {
        const other = this.#inputs[this.#draw(this.#inputs.length)] ?? ''
        return bounded(head + other.slice(this.#draw(other.length + 1)))
      }
      case 5:
        return bounded(head + this.#word() + this.#word() + tail)
      default: {
        // Few are long: they take long.
        if (this.#draw(20) > 0) return head + this.#word() + rest
        const word = this.#word() || 'x'
        return head + word.repeat(Math.ceil(this.#draw(longestRun) / word.length)) + tail
      }
    }
  }

  #word(): string {
    return this.#target.words[this.#draw(this.#target.words.length)] ?? ''
  }
}

function bounded(input: string): string {
  return input.slice(0, longestInput)
}

/** What is left when pieces are taken away, as long as `holds` does: the shortest, or nearly. */
function shrink(input: string, holds: (shorter: string) => boolean): string {
  let least = input
  let left = mostCuts
  for (let size = Math.ceil(least.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < least.length && left > 0; left--) {
      const shorter = least.slice(0, at) + least.slice(at + size)
      if (holds(shorter)) least = shorter
      else at += size
    }
  }
  return least
}

function corpusOf(name: string): string {
  return `test/fuzz/corpus/${name}.txt`
}

function readCorpus(name: string): string[] {
  if (!existsSync(corpusOf(name))) return []
  const lines = readFileSync(corpusOf(name), 'utf8').split('\n').filter(Boolean)
  return lines.map((line) => JSON.parse(line) as string)
}

/** Plays what was kept, and as many new inputs as are asked for. */
export function explore(target: Target, options: ExploreOptions): void {
  const found = new Exploration(target, options).run()
  assert.ok(target.seeds.length > 0)
  if (options.keeps) console.log(`${target.name}: ${found} new inputs`)
}
