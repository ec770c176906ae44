/** Programs that others wrote, run as a person would, with nothing of the real home directory. */
import { execFile, execFileSync } from 'node:child_process'

export interface ToolResult {
  /** -1 where a signal ended it. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const path = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`

/** Runs a program to its end, at most a minute; `home` stands for the home directory. */
export function runTool(
  home: string,
  command: string,
  args: readonly string[],
): Promise<ToolResult> {
  const { promise, resolve } = Promise.withResolvers<ToolResult>()
  const env = { PATH: path, HOME: home, LANG: 'C.UTF-8' }
  execFile(
    command,
    args,
    { env, cwd: home, maxBuffer: 1 << 28, timeout: 60_000 },
    (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      resolve({ code, stdout, stderr })
    },
  )
  return promise
}

/**
 * Why a test with these programs cannot run here; false where it can. Under CI=true it must: there
 * a program that is missing is a failure.
 */
export function skipWithout(...commands: readonly string[]): string | false {
  const missing = commands.filter((command) => {
    try {
      execFileSync('sh', ['-c', `command -v ${command}`], {
        env: { PATH: path },
        stdio: 'ignore',
      })
      return false
    } catch {
      return true
    }
  })
  return missing.length === 0 ? false : refusal(missing.join(', '))
}

function refusal(missing: string): string {
  const reason = `not installed: ${missing}; script/setup installs them`
  if (process.env['CI'] === 'true') throw new Error(reason)
  return reason
}

/** The Python that Debian's packages of modules are for, whatever comes first in the PATH. */
export const debianPython = '/usr/bin/python3'

/** The same for a module of it. */
export function skipWithoutModule(name: string): string | false {
  const missing = skipWithout(debianPython)
  if (missing !== false) return missing
  try {
    execFileSync(debianPython, ['-c', `import ${name}`], { stdio: 'ignore' })
    return false
  } catch {
    return refusal(`${name} of Python`)
  }
}

/** What a program says of its version; '' where it is not installed. */
export function versionOf(command: string): string {
  if (skipWithout(command) !== false) return ''
  const env = { PATH: path }
  return execFileSync(command, ['--version'], { env, encoding: 'utf8' })
}
