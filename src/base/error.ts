/**
 * The one catalogue of failures that end a command or keep a daemon from an action.
 *
 * The code is the contract: scripts match it under `--json`, docs/errors.md lists it (a test
 * compares the two), and exit status (sysexits.h) and hint hang on it. A code is never reused.
 * What a peer or an input does wrong in-band is a value, not one of these.
 */
import { formatPosition, type Position } from './position.ts'

const catalogue = {
  INTERNAL: { exit: 70, hint: 'this is a fault of mailmux: please report it, with DEBUG=1 set' },
  USAGE: { exit: 2, hint: 'see `mailmux help`' },
  CONFIG_NOT_FOUND: {
    exit: 78,
    hint: 'give --config FILE, set MAILMUX_CONFIG, or write ./mailmux.yaml or /etc/mailmux/mailmux.yaml',
  },
  CONFIG_UNREADABLE: {
    exit: 78,
    hint: 'check that the file exists and that this user may read it',
  },
  CONFIG_INVALID: {
    exit: 78,
    hint: 'mend the places named; the schema is printed by `mailmux config schema`',
  },
  MAP_SOURCE_UNREADABLE: {
    exit: 78,
    hint: 'check that the source exists and that this user may read it',
  },
  MAP_SOURCE_UNAVAILABLE: {
    exit: 75,
    hint: 'check that the database is up, and try again; the old map stays in force',
  },
  MAP_INVALID: { exit: 78, hint: 'mend the places named; the old database stays in force' },
  MAP_DATABASE_MISSING: { exit: 78, hint: 'run `mailmux build-map`' },
  MAP_DATABASE_DAMAGED: {
    exit: 78,
    hint: 'run `mailmux build-map` to write it anew from the sources',
  },
  MAP_DATABASE_UNREADABLE: {
    exit: 78,
    hint: 'check that this user may read it; what is in it stays in force',
  },
  MAP_OUT_OF_DATE: { exit: 78, hint: 'run `mailmux build-map`' },
  MAP_MAX_CHANGED: {
    exit: 78,
    hint: 'see `mailmux map diff`; where all of it is meant, build with --force',
  },
  MAP_BACKEND_GONE: {
    exit: 78,
    hint: 'add the back-end to the config again, or take another generation',
  },
  MAP_GENERATION_UNKNOWN: {
    exit: 78,
    hint: 'see `mailmux map history` for those that are kept',
  },
  MAP_WRITE_FAILED: {
    exit: 73,
    hint: 'check room and permissions; the old database stays in force',
  },
  MAP_SOURCE_CHANGED: { exit: 75, hint: 'nothing was changed; try again' },
  MAP_SOURCE_UNWRITABLE: {
    exit: 73,
    hint: 'check room and permissions; sources and map are as they were',
  },
  CHANGE_REFUSED: { exit: 65, hint: 'nothing was changed' },
  USER_EXISTS: { exit: 65, hint: 'nothing was changed; --replace changes what is there' },
  USER_UNKNOWN: { exit: 67, hint: 'see `mailmux user list`' },
  ALIAS_UNKNOWN: { exit: 67, hint: 'see `mailmux alias list`' },
  BACKEND_UNKNOWN: { exit: 67, hint: 'see `mailmux backend list`' },
  STATE_BUSY: { exit: 75, hint: 'wait for it, or end it, and try again' },
  STATE_DAMAGED: {
    exit: 78,
    hint: 'move it away and run `mailmux build-map`: the sources hold every change',
  },
  STATE_LOST: {
    exit: 78,
    hint: 'run `mailmux build-map`, then `mailmux reload`: the sources hold every change',
  },
  MAP_CHANGE_UNFINISHED: {
    exit: 75,
    hint: 'make room or mend the disk: the next command or `mailmux build-map` completes it',
  },
  USER_UNUSABLE: {
    exit: 78,
    hint: 'name a user that exists and may read and write there, or set `user: root`',
  },
  STATE_UNUSABLE: { exit: 73, hint: 'check room and permissions of `state_dir`, or name another' },
  LISTEN_FAILED: {
    exit: 69,
    hint: 'stop the program that has the port, or change `listen` in the config',
  },
  START_FAILED: { exit: 70, hint: 'see the log above; nothing was left running' },
  TLS_UNUSABLE: { exit: 78, hint: 'check certificate and key: PEM files that belong together' },
  DAEMON_UNREACHABLE: {
    exit: 69,
    hint: 'start it with `mailmux serve`, or check `run_dir` in the config',
  },
  DAEMON_REFUSED: { exit: 1, hint: 'see the log of the daemon' },
  ALREADY_RUNNING: {
    exit: 69,
    hint: 'stop the other `mailmux serve` first, or give this one another run_dir',
  },
  RELOAD_REFUSED: {
    exit: 78,
    hint: 'mend what is named and reload again; the daemon goes on with what it has',
  },
  RESTART_REFUSED: {
    exit: 78,
    hint: 'the workers stay those that they were; see the log of the daemon',
  },
  RUN_DIR_UNUSABLE: { exit: 73, hint: 'check permissions of `run_dir`, or name another one' },
  BACKEND_UNREACHABLE: {
    exit: 75,
    hint: 'check that the back-end is up and its address in the config is right',
  },
  BACKEND_THROTTLED: {
    exit: 75,
    hint: 'the back-end wants less at once: run it again later, or lower `migrate.connections` of it',
  },
  DAY_LIMIT_REACHED: {
    exit: 75,
    hint: 'run it again tomorrow, and it goes on; or raise `migrate.bytes_per_day` of the server',
  },
  WINDOW_CLOSED: { exit: 75, hint: 'run it again then, and it goes on' },
  BACKEND_LOGIN_REFUSED: {
    exit: 77,
    hint: 'check that the user exists there, and `admin` of the back-end in the config',
  },
  ADMIN_MISSING: {
    exit: 78,
    hint: 'give the back-end `admin: {user, password_file, style}` in the config',
  },
  BACKEND_PORT_MISSING: { exit: 78, hint: 'give the back-end that port in the config' },
  SECRET_UNREADABLE: {
    exit: 78,
    hint: 'check that the file exists, holds the secret, and that this user may read it',
  },
  MIGRATION_BUSY: { exit: 75, hint: 'wait for the other command, or end it, and try again' },
  TARGET_NOT_EMPTY: {
    exit: 65,
    hint: 'nothing was changed; `--merge` leaves what is there and adds to it',
  },
  TARGET_FULL: { exit: 73, hint: 'give the user more room there, and run it again' },
  TOO_MANY_BAD: {
    exit: 65,
    hint: 'look at what is kept in `quarantine` in `state_dir`; `--max-bad` leaves so many behind',
  },
  COPY_ALTERED: {
    exit: 1,
    hint: 'the target changes messages as it stores them, and does not number them: nothing can be known there again',
  },
  MOVE_REFUSED: { exit: 65, hint: 'nothing was changed' },
  MOVE_STOPPED: { exit: 75, hint: 'run it again to go on with it, or with --abort to give it up' },
  MOVE_UNKNOWN: { exit: 67, hint: 'see `mailmux user moves`' },
  MOVE_OVER_BUDGET: {
    exit: 75,
    hint: 'the user is where the mailbox was; try at a quieter time, or raise `move.freeze_limit`',
  },
  MOVE_UNFROZEN: {
    exit: 75,
    hint: 'the user is where the mailbox was; see the log of the daemon, and run it again',
  },
  MOVE_UNEQUAL: {
    exit: 1,
    hint: 'the user is where the mailbox was; `mailmux migrate --users NAME` tells what differs',
  },
  MOVE_FLIPPED: {
    exit: 65,
    hint: 'run it again without --abort to end it, then move the user back',
  },
  SPOOL_FULL: {
    exit: 75,
    hint: 'make room, raise `spool` in the config, or see `mailmux queue list` for what waits',
  },
  SPOOL_FAILED: { exit: 75, hint: 'see the log; check the disk that holds `state_dir`' },
  SPOOL_BUSY: {
    exit: 75,
    hint: 'another process works on the spool: ask that daemon, or wait until it has ended',
  },
  SPOOL_UNUSABLE: { exit: 73, hint: 'check room and permissions of `state_dir`, or name another' },
  MESSAGE_UNKNOWN: { exit: 65, hint: 'see `mailmux queue list`' },
  MESSAGE_UNREADABLE: {
    exit: 65,
    hint: 'it is kept in `quarantine` in the spool; look at it there, or remove it',
  },
  TOOL_MISSING: { exit: 69, hint: 'install it from your distribution' },
  DEMO_FAILED: { exit: 1, hint: 'run it again with --keep and read the logs in the folder named' },
} as const satisfies Record<string, { exit: number; hint: string }>

export type ErrorCode = keyof typeof catalogue

/** Every code with its exit status and hint, for docs and their test. */
export const errorCatalogue: Readonly<Record<ErrorCode, { exit: number; hint: string }>> = catalogue

/** A failure with a stable code, a place where there is one, and what to do about it. */
export class MailmuxError extends Error {
  readonly code: ErrorCode
  readonly at: Position | undefined

  constructor(code: ErrorCode, message: string, options: ErrorOptions & { at?: Position } = {}) {
    super(message, options)
    this.name = 'MailmuxError'
    this.code = code
    this.at = options.at
  }

  get exitCode(): number {
    return catalogue[this.code].exit
  }

  get hint(): string {
    return catalogue[this.code].hint
  }

  /** What, where: `file:line:column: text`, or the text alone where there is no place. */
  get located(): string {
    return this.at === undefined ? this.message : `${formatPosition(this.at)}: ${this.message}`
  }
}

/** The text of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
