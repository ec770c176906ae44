/**
 * The bounds that hold whatever a peer sends. Each is a promise about memory or time; the tests
 * refer to these names.
 */
export const limits = {
  /** SMTP command line with CRLF; RFC 5321 4.5.3.1.4 asks for 512, extensions add to it. */
  smtpCommandBytes: 2048,
  /** The longest that we send to who has not said that it takes more. */
  smtpSentBytes: 512,
  /** A line of a SASL exchange with CRLF; RFC 4954 section 4. */
  saslLineBytes: 12288,
  /** How much of an overlong line is read and thrown away before the peer is cut off. */
  discardBytes: 65536,
  /** A line of a back-end's SMTP reply; RFC 5321 asks for 512. */
  replyLineBytes: 4096,
  replyLines: 128,
  replyBytes: 65536,
  imapLineBytes: 8192,
  imapTagBytes: 64,
  imapSyncLiteralBytes: 8192,
  /** RFC 7888 section 5: LITERAL- . */
  imapNonSyncLiteralBytes: 4096,
  imapCommandBytes: 65536,
  /** Literals of a command or response: ID may have 60, and the smallest costs more than its octets. */
  literalsPerCommand: 64,
  pop3LineBytes: 1024,
  /** A ManageSieve command before login, its literals included. */
  sieveCommandBytes: 8192,
  /** RFC 5804 section 4: what a quoted string may hold. */
  sieveQuotedBytes: 1024,
  loginNameBytes: 320,
  /** What a session may hold of bytes that it has not parsed or passed on. */
  unparsedBytes: 65536,
  recipientsPerMessage: 1000,
  /** Addresses that the recipients of one message may come to, aliases expanded. */
  deliveriesPerMessage: 10_000,
  /** How much of a message is kept in memory while several back-ends take it; the rest on disk. */
  messageCopyBytes: 262_144,
  /** How much of a message at most is looked through for the header that a notification shows. */
  shownHeadBytes: 65_536,
  headerBytes: 262144,
  receivedHeaders: 50,
  /** Lines of a header by which this very host has said that a message passed it. */
  ownHops: 3,
  badCommands: 10,
  /** Unknown recipients in a session; more look like a search for addresses. */
  unknownRecipients: 20,
  failedLogins: 3,
  /** Logins of one address that may be under way at once, those included that have failed and wait. */
  loginsPerAddress: 10,
  /** Logins of frozen users that one worker keeps waiting; more are told to come again. */
  heldLogins: 1000,
  /** A message comes at least this fast in a second, averaged over the window; milliseconds. */
  dataRateBytes: 1024,
  dataRateWindowMs: 60_000,
  /**
   * Of the file descriptors of a worker, so many are kept from clients: for back-ends, listeners, the
   * map, the log; so many of these from clients that are told that there is no room; and so many of
   * these from back-ends, for the spool. So a client can always be accepted and be told, or counted.
   */
  reservedDescriptors: 64,
  wordlessDescriptors: 32,
  lastDescriptors: 16,
  /** How much of a peer's text goes into a log event. */
  loggedTextChars: 160,
} as const

/** The waits, in milliseconds, that no peer can stretch. */
export const waits = {
  preAuthenticationMs: 60_000,
  smtpCommandMs: 300_000,
  /** For either of the two, while there is little room for sessions. */
  crowdedMs: 10_000,
  /** RFC 5321 4.5.3.2.6 asks a client for 10 minutes; we answer before it gives up. */
  endOfDataMs: 300_000,
  /** How much longer a back-end's verdict is listened for, for the log alone. */
  lateVerdictMs: 900_000,
  /** How long a client waits for what is left of its message to be durable; then it keeps it. */
  spoolMs: 60_000,
  /** How long one back-end may hold up a message that others take. */
  fanOutStallMs: 60_000,
  backendConnectMs: 10_000,
  backendLoginMs: 30_000,
  /** For a login, where as many of its back-end are under way as may be. */
  backendTurnMs: 5_000,
  /** So long before that the first of those hear it who came at once and wait in vain. */
  backendTurnSpreadMs: 1_000,
  /** For a login to be tried, where as many of its address are under way as may be. */
  loginTurnMs: 30_000,
  tlsHandshakeMs: 10_000,
  /** For a proxy to say whose connection it passes on. */
  proxyHeaderMs: 3_000,
  closeMs: 1_000,
  /** The longest that sessions may go on in workers that leave. */
  mostDrainMs: 604_800_000,
  /** For a place in the stream of a joined session at which its client can be told of its end. */
  boundaryMs: 2_000,
  /** How long a message whose end was sent may keep a mailbox from being frozen. */
  freezeVerdictMs: 60_000,
} as const
