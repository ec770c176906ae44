/** Runs the command line as a person or a script would. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Runs src/ as it is. */
export const sourceBin = fileURLToPath(new URL('../../bin/dev.js', import.meta.url))
/** src/, or what `MAILMUX_TEST_PROGRAM` names: script/test names the build, which starts faster. */
export const bin = process.env['MAILMUX_TEST_PROGRAM'] ?? sourceBin

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** One command to its end. `input` goes to stdin; stdin is empty without it. */
export function runCommand(
  args: readonly string[],
  options: {
    readonly input?: string
    readonly env?: Readonly<Record<string, string>>
    readonly cwd?: string
  } = {},
): Promise<CommandResult> {
  const { promise, resolve } = Promise.withResolvers<CommandResult>()
  const env = { ...process.env, MAILMUX_CONFIG: '', NO_COLOR: '1', ...options.env }
  const child = execFile(
    process.execPath,
    [bin, ...args],
    { env, maxBuffer: 1 << 28, ...(options.cwd === undefined ? {} : { cwd: options.cwd }) },
    (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      resolve({ code, stdout, stderr })
    },
  )
  child.stdin?.end(options.input ?? '')
  return promise
}
