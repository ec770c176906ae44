/** What holds of TLS with clients holds of direct sockets, also where a client asks for what only Node does. */
import '../support/direct-sockets.ts'
import './client-certificate.test.ts'
import './tls.test.ts'
