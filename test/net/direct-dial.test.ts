/** What holds of dialling holds where plain connections are direct sockets. */
import '../support/direct-sockets.ts'
import './dial.test.ts'
