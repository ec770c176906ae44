/** The POP3 proxy: its machines, driven as every login protocol is. */
import { messageOf } from '../../base/error.ts'
import { createPop3BackEnd } from '../../protocol/pop3/back-end.ts'
import { createPop3FrontEnd } from '../../protocol/pop3/front-end.ts'
import { Pop3Watch } from '../../protocol/pop3/joined-watch.ts'
import { UidlRewriter } from '../../protocol/pop3/uidl-rewriter.ts'
import type { UidlTable } from '../../map/state/uidl-table.ts'
import { Join } from '../login/join.ts'
import type { JoinOptions } from '../login/login-protocol.ts'
import { startLoginSession } from '../login/start-login-session.ts'

export const startPop3Session = startLoginSession({
  service: 'pop3',
  createFrontEnd: createPop3FrontEnd,
  createBackEnd: createPop3BackEnd,
  createJoin: (options) => {
    const table = uidlsFor(options)
    if (table === undefined) return new Join(options, new Pop3Watch())
    const rewriter = new UidlRewriter((uidl) => table.translate(uidl))
    return new Join(options, rewriter, rewriter)
  },
})

/** Of a user who has moved. Who reads mail twice is better off than who reads none. */
function uidlsFor({ runtime, accepted, fields }: JoinOptions): UidlTable | undefined {
  try {
    return runtime.current.map.uidls(accepted)
  } catch (error) {
    const detail = `${fields.session}: ${messageOf(error)}`
    runtime.log('internal', { reason: 'uidl', detail })
    return undefined
  }
}
