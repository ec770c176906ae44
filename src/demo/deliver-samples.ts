/** Sends the sample messages through the front end and tells why each went where it went. */
import { basename } from 'node:path'
import { MailmuxError } from '../base/error.ts'
import type { Config } from '../config/config.ts'
import { describeAnswer } from '../map/answer.ts'
import { type Explanation, explain } from '../map/explain.ts'
import { openMap } from '../map/open.ts'
import type { Narrator } from './narrator.ts'
import { type Message, sendMessage } from './send-message.ts'
import { domain, type FrontEndPorts } from './sources.ts'

/** One message, and what came of it. */
export interface Delivery {
  readonly to: string
  readonly subject: string
  /** The back-ends that the map names. */
  readonly backends: readonly string[]
  /** What the sender was told. */
  readonly reply: string
}

interface Sample extends Message {
  /** The first digit of the reply that it must get. */
  readonly expected: '2' | '5'
}

const from = 'guest@example.net'
const samples: readonly Sample[] = [
  {
    from,
    to: `ann@${domain}`,
    subject: 'To ann',
    body: 'The user_map has a line for you.',
    expected: '2',
  },
  {
    from,
    to: `zoe@${domain}`,
    subject: 'To zoe',
    body: 'You live where your letter lives.',
    expected: '2',
  },
  {
    from,
    to: `team@${domain}`,
    subject: 'To the team',
    body: 'One message, two mailboxes.',
    expected: '2',
  },
  { from, to: `will@${domain}`, subject: 'To nobody', body: 'Is anybody there?', expected: '5' },
  { from, to: 'eve@example.org', subject: 'To elsewhere', body: 'Relay me!', expected: '5' },
]

interface Site {
  readonly config: Config
  readonly ports: FrontEndPorts
}

/** Throws DEMO_FAILED where a message got another answer than it should. */
export async function deliverSamples(
  { config, ports }: Site,
  narrator: Narrator,
): Promise<readonly Delivery[]> {
  narrator.chapter('Mail goes in by SMTP; the map says where to, and which line says so')
  const map = openMap(config.map.database)
  const deliveries: Delivery[] = []
  try {
    for (const sample of samples) {
      const reply = await sendMessage(ports.smtp, sample)
      const question = { text: sample.to, direction: 'delivery' } as const
      const explanation = explain(question, map, config)
      tell(sample, reply, { explanation, narrator })
      if (!reply.startsWith(sample.expected)) {
        throw new MailmuxError('DEMO_FAILED', `the message to ${sample.to} got ${reply}`)
      }
      const found = explanation.answer.destinations.map(({ backend }) => backend)
      const { to, subject } = sample
      deliveries.push({ to, subject, backends: [...new Set(found)], reply })
    }
  } finally {
    map.close()
  }
  return deliveries
}

interface Told {
  readonly explanation: Explanation
  readonly narrator: Narrator
}

function tell({ to }: Message, reply: string, { explanation, narrator }: Told): void {
  const { steps, answer } = explanation
  narrator.say('', `${to} → ${describeAnswer(answer)}`)
  const because = steps.flatMap(({ asked, found, at }) =>
    found === undefined || at === undefined
      ? []
      : [[`${basename(at.file)}:${at.line}`, asked, found]],
  )
  narrator.table(because)
  narrator.say(`  reply: ${reply}`)
}
