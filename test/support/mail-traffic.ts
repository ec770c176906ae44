/**
 * Mail of one user while the mailbox moves: senders who come by the relay, and mail programs by the
 * proxies, who all do it again when they are told to, and write down what they were told.
 */
import assert from 'node:assert/strict'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import { password } from './mailbox-pair.ts'
import { Peer } from './peer.ts'
import { RawImap } from './raw-imap.ts'
import { sieveOf } from './sieve-round.ts'

/** What was promised to one user: messages by their number in the subject, and their flags. */
export class Ledger {
  readonly delivered = new Set<number>()
  readonly flagged = new Set<number>()
  /** Moved to another folder, and deleted. */
  readonly filed = new Set<number>()
  readonly deleted = new Set<number>()
  /** Asked for when the session ended: it may have been done, or not. */
  readonly perhaps = new Set<number>()
  /**
   * The same, where it was to be filed: the copy may have come to be before the end, and the message
   * gone after it. Nothing that is done with one of the two later takes the other away.
   */
  readonly perhapsTwice = new Set<number>()
  /** Refused after their end: they may be there, and were sent again. */
  readonly uncertain = new Set<number>()
  /** How often a sender was told to come again, */
  deferred = 0
  /** and lost the connection without being told. */
  cutOff = 0
  reconnected = 0
  /** What POP3 clients know messages by. */
  readonly uidls = new Map<number, string>()
  /** Versions of a Sieve script: the last that was asked for, and the last that was answered for. */
  readonly script = { asked: 0, answered: 0 }
  readonly #free: number[] = []
  #last = 0

  /** The number of the next message. */
  take(): number {
    return this.#free.pop() ?? ++this.#last
  }

  /** It was not sent, or perhaps. */
  giveBack(number: number): void {
    this.#free.push(number)
  }

  /**
   * Every message that was taken is there once, and no other; flags and folders are as they were given.
   * `hasDied`: back-ends or the daemon have, in the middle of what they were told to do.
   */
  check(found: readonly FoundMessage[], hasDied = false): void {
    assert.ok(hasDied || this.cutOff === 0, `${this.cutOff} connections of senders were lost`)
    const isSure = ({ number }: { readonly number: number }): boolean =>
      !this.perhaps.has(number) &&
      !(hasDied && (this.uncertain.has(number) || this.perhapsTwice.has(number)))
    const numbers = found.map(({ number }) => number)
    const single = hasDied ? found.filter(isSure) : found
    const twice = single.filter(({ number }, at) =>
      single.some((other, index) => index !== at && other.number === number),
    )
    assert.deepEqual(twice, [], 'twice')
    const wanted = [...this.delivered].filter(
      (number) => !this.deleted.has(number) && isSure({ number }),
    )
    const sure = found.filter(isSure).map(({ number }) => number)
    assert.deepEqual(sure.sort(rising), wanted.sort(rising), 'messages')
    for (const number of numbers) {
      const isSent = this.delivered.has(number) || this.uncertain.has(number)
      assert.ok(isSent, `${number} was not sent`)
    }
    // Of these, too, at least one is there.
    for (const number of [...this.uncertain, ...this.perhapsTwice]) {
      const isGone = this.deleted.has(number) || !this.delivered.has(number)
      const isOpen = isGone || this.perhaps.has(number)
      assert.ok(isOpen || numbers.includes(number), `${number} is lost`)
    }
    for (const { number, flags, folder } of found.filter(isSure)) {
      assert.equal(flags.includes('\\Flagged'), this.flagged.has(number), `flags of ${number}`)
      assert.equal(folder === 'Archive', this.filed.has(number), `folder of ${number}`)
    }
  }
}

/** Waits until so many messages were taken. */
export async function delivered(ledger: Ledger, count: number): Promise<void> {
  while (ledger.delivered.size < count) await turn()
}

function rising(one: number, other: number): number {
  return one - other
}

export interface FoundMessage {
  readonly number: number
  readonly uid: number
  readonly flags: string
  readonly folder: string
}

/** The messages of a user at a port. */
export async function mailboxOf(port: number, user: string): Promise<FoundMessage[]> {
  using imap = await RawImap.login(port, `${user}@example.com`, password)
  const folders = (await imap.folders()).filter((name) => name === 'INBOX' || name === 'Archive')
  const found: FoundMessage[] = []
  for (const folder of folders) found.push(...(await readFolder(imap, folder)))
  return found
}

async function readFolder(imap: RawImap, folder: string): Promise<FoundMessage[]> {
  await imap.command(`SELECT ${folder}`)
  const fetched = await imap.command('UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])')
  return fetched
    .filter(({ text }) => / FETCH /.test(text))
    .map(({ text, literals }) => ({
      number: Number(/Subject: m(\d+)/.exec(String(literals[0]))?.[1]),
      uid: Number(/UID (\d+)/.exec(text)?.[1]),
      flags: /FLAGS \(([^)]*)\)/.exec(text)?.[1] ?? '',
      folder,
    }))
}

/** Somebody who sends or reads mail of a user, at a port, until the signal. */
export interface Party {
  /** Another one where the daemon has been started again. */
  readonly port: number
  readonly user: string
  readonly ledger: Ledger
  readonly signal: AbortSignal
}

/**
 * Sends messages one after the other, each again until it is taken, over a new connection where one
 * is lost.
 */
export async function sendMail(party: Party, pauseMs = 10): Promise<void> {
  const { ledger, signal } = party
  const sending = { number: ledger.take(), isAsked: false }
  while (!signal.aborted) {
    const peer = await Peer.connect(party.port).catch(() => undefined)
    try {
      if (peer !== undefined) await sendOver(peer, party, { sending, pauseMs })
    } catch (error) {
      if (peer?.closed !== true) throw error
      if (sending.isAsked) ledger.uncertain.add(sending.number)
      if (!/(?:^|\r\n)421 [^\r]*\r\n$/.test(peer.received)) ledger.cutOff++
    } finally {
      peer?.[Symbol.dispose]()
    }
    sending.isAsked = false
    await wait(10)
  }
  ledger.giveBack(sending.number)
}

interface Sending {
  number: number
  /** Its end was sent. */
  isAsked: boolean
}

async function sendOver(
  peer: Peer,
  { user, ledger, signal }: Party,
  { sending, pauseMs }: { readonly sending: Sending; readonly pauseMs: number },
): Promise<void> {
  await peer.expect(/^220 .*\r\n/)
  peer.send(`EHLO client.example.net\r\n`)
  await peer.expect(/^250 .*\r\n/m)
  while (!signal.aborted) {
    const { number } = sending
    peer.send(`MAIL FROM:<bob@example.net>\r\nRCPT TO:<${user}@example.com>\r\nDATA\r\n`)
    const [replies] = await peer.expect(/^\d{3} .*\r\n\d{3} .*\r\n\d{3} .*\r\n/)
    const [, , data = ''] = replies.split('\r\n')
    if (data.startsWith('354')) {
      peer.send(`Subject: m${number}\r\nMessage-Id: <${number}@x>\r\n\r\nhello\r\n.\r\n`)
      sending.isAsked = true
      const [verdict] = await peer.expect(/^\d{3} .*\r\n/)
      sending.isAsked = false
      if (verdict.startsWith('250')) {
        ledger.delivered.add(number)
        sending.number = ledger.take()
        // A mover on a busy machine has to come after it.
        await wait(pauseMs)
        continue
      }
      ledger.uncertain.add(number)
    }
    ledger.deferred++
    peer.send('RSET\r\n')
    await peer.expect(/^250 .*\r\n/)
    await wait(10)
  }
}

/** A mail program that flags, files and deletes, and logs in again when its session is ended. */
export async function workOnMail(
  party: Party,
  isMine: (number: number) => boolean = () => true,
): Promise<void> {
  const { user, ledger, signal } = party
  while (!signal.aborted) {
    let asked: number | undefined
    try {
      using imap = await RawImap.login(party.port, `${user}@example.com`, password)
      // It is there after the first time.
      await imap.command('CREATE Archive').catch(() => undefined)
      const inbox = (await readFolder(imap, 'INBOX')).filter(({ number }) => isMine(number))
      for (let index = 0; !signal.aborted && inbox.length > 3 && index < 40; index++) {
        const at = (index * 7) % inbox.length
        const { number, uid } = inbox[at] as FoundMessage
        asked = number
        // Where it is, and its flags, are known again; of one that is filed, the flags may not be.
        if (await workOn(imap, { number, uid, index }, ledger)) inbox.splice(at, 1)
        else ledger.perhaps.delete(number)
        asked = undefined
      }
    } catch {
      // It is told of the end of its session, or its connection is cut: it comes again.
      if (asked !== undefined) ledger.perhaps.add(asked)
      ledger.reconnected++
      await wait(5)
    }
  }
}

/** Whether the message is in this folder no more. */
async function workOn(
  imap: RawImap,
  { number, uid, index }: { readonly number: number; readonly uid: number; readonly index: number },
  ledger: Ledger,
): Promise<boolean> {
  if (index % 10 === 4) {
    const wasSingle = !ledger.perhapsTwice.has(number)
    ledger.perhapsTwice.add(number)
    await imap.command(`UID MOVE ${uid} Archive`)
    if (wasSingle) ledger.perhapsTwice.delete(number)
    ledger.filed.add(number)
    return true
  }
  if (index % 10 === 8) {
    await imap.command(`UID STORE ${uid} +FLAGS.SILENT (\\Deleted)`)
    await imap.command(`UID EXPUNGE ${uid}`)
    ledger.deleted.add(number)
    return true
  }
  const isOn = !ledger.flagged.has(number)
  await imap.command(`UID STORE ${uid} ${isOn ? '+' : '-'}FLAGS.SILENT (\\Flagged)`)
  if (isOn) ledger.flagged.add(number)
  else ledger.flagged.delete(number)
  return false
}

/** A POP3 client that leaves mail on the server, looks whether it knows it again, and deletes some. */
export async function popMail(
  { port, user, ledger, signal }: Party,
  isMine: (number: number) => boolean,
): Promise<void> {
  while (!signal.aborted) {
    let asked: number | undefined
    try {
      using peer = await Peer.connect(port)
      await peer.expect(/^\+OK .*\r\n/)
      peer.send(`USER ${user}@example.com\r\nPASS ${password}\r\nUIDL\r\n`)
      await peer.expect(/^\+OK.*\r\n\+OK.*\r\n\+OK.*\r\n/)
      const listed = (await peer.message()).split('\r\n').filter((line) => line !== '')
      for (const line of listed.slice(0, 20)) {
        const [position = '', uidl = ''] = line.split(' ')
        peer.send(`LIST ${position}\r\nRETR ${position}\r\n`)
        const [answers] = await peer.expect(/^.*\r\n.*\r\n/)
        // A mail program was faster.
        if (answers.includes('-ERR')) throw new Error(answers)
        const [, found] = /Subject: m(\d+)\r\n[^]*\r\nhello\r\n$/.exec(await peer.message()) ?? []
        const number = Number(found)
        // Of one that was sent again there may be two.
        if (!ledger.uncertain.has(number)) {
          assert.equal(ledger.uidls.get(number) ?? uidl, uidl, `UIDL of ${number}`)
        }
        ledger.uidls.set(number, uidl)
        if (asked !== undefined || !isMine(number)) continue
        asked = number
        peer.send(`DELE ${position}\r\n`)
        await peer.expect(/^\+OK.*\r\n/)
      }
      peer.send('QUIT\r\n')
      await peer.expect(/^\+OK.*\r\n/)
      if (asked !== undefined) ledger.deleted.add(asked)
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error
      if (asked !== undefined) ledger.perhaps.add(asked)
      ledger.reconnected++
    }
    await wait(20)
  }
}

/** Somebody who puts one version of a script after the other in force. */
export async function editScript({ port, user, ledger, signal }: Party): Promise<void> {
  const { script } = ledger
  while (!signal.aborted) {
    try {
      using peer = await sieveOf(port, `${user}@example.com`, password)
      while (!signal.aborted) {
        const text = `# version ${++script.asked}\r\nkeep;\r\n`
        peer.send(`PUTSCRIPT "main" {${text.length}+}\r\n${text}\r\n`)
        await peer.expect(/^OK.*\r\n/)
        peer.send('SETACTIVE "main"\r\n')
        await peer.expect(/^OK.*\r\n/)
        script.answered = script.asked
        await wait(50)
      }
    } catch {
      await wait(20)
    }
  }
}

/** The version that is in force, at a port. Throws where there is no script. */
export async function versionOf(port: number, user: string): Promise<number> {
  using peer = await sieveOf(port, `${user}@example.com`, password)
  peer.send('LISTSCRIPTS\r\n')
  await peer.expect(/^"main" ACTIVE\r\nOK.*\r\n/)
  peer.send('GETSCRIPT "main"\r\n')
  const [, version] = await peer.expect(/^\{\d+\}\r\n# version (\d+)\r\n/)
  return Number(version)
}
