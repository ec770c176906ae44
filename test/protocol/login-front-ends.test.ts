import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { basename } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { createImapFrontEnd } from '../../src/protocol/imap/front-end.ts'
import type { LoginFrontEnd } from '../../src/protocol/login.ts'
import type { FrontEndOptions } from '../../src/protocol/login-machine.ts'
import { createPop3FrontEnd } from '../../src/protocol/pop3/front-end.ts'
import { playTranscript, readTranscript } from '../support/transcript.ts'

const protocols: readonly (readonly [string, (options: FrontEndOptions) => LoginFrontEnd])[] = [
  ['imap', createImapFrontEnd],
  ['pop3', createPop3FrontEnd],
]

function everyByte(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (byte) => Buffer.of(byte))
}

/** Cuts at the given places, each taken modulo the length. */
function cutAt(places: readonly number[]): (bytes: Buffer) => Buffer[] {
  return (bytes) => {
    const ends = [...new Set(places.map((place) => place % (bytes.length + 1))), bytes.length]
    let start = 0
    return ends
      .sort((left, right) => left - right)
      .map((end) => {
        const piece = bytes.subarray(start, end)
        start = end
        return piece
      })
  }
}

for (const [protocol, create] of protocols) {
  const files = globSync(`test/transcripts/${protocol}/*.txt`)
  test(`there are dialogues in ${protocol}`, () => assert.ok(files.length >= 8))
  for (const file of files) {
    const title = basename(file, '.txt').replaceAll('-', ' ')
    const transcript = readTranscript(file)
    test(`${protocol}: ${title}`, () => {
      playTranscript(transcript, create(transcript.options), (bytes) => [bytes])
      if (transcript.isOneSegment) return
      playTranscript(transcript, create(transcript.options), everyByte)
      fc.assert(
        fc.property(fc.array(fc.nat(200), { maxLength: 6 }), (places) =>
          playTranscript(transcript, create(transcript.options), cutAt(places)),
        ),
        { numRuns: 40 },
      )
    })
  }
}
