/** What holds of a large script holds where plain connections are direct sockets. */
import '../../support/direct-sockets.ts'
import './put-script.test.ts'
