/** What holds of a pump holds of one between direct sockets. */
import '../support/direct-sockets.ts'
import './half-close.test.ts'
import './pump.test.ts'
