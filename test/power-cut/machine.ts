/**
 * A machine that can lose its power: User-Mode Linux, with the files of this host to read, a disk of its
 * own to write, and its console as our output. SIGKILL takes its kernel away and with it all that had
 * not been written to the disk.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export interface MachineOptions {
  readonly kernel: string
  readonly folder: string
  /** Image of an ext4 file system, mounted where `stateDir` says. */
  readonly disk: string
  readonly stateDir: string
  readonly command: readonly string[]
}

export class Machine {
  readonly #child: ChildProcess
  readonly #closed: Promise<unknown>
  /** It has no power, or has turned itself off. */
  isOff = false

  constructor(options: MachineOptions, onLine: (line: string) => void) {
    const { folder, kernel, disk } = options
    const init = join(folder, 'init')
    writeFileSync(init, initScript(options), { mode: 0o755 })
    const root = ['root=/dev/root', 'rootfstype=hostfs', 'rootflags=/', 'ro', `init=${init}`]
    const console = ['con=null', 'con0=null,fd:1', 'quiet', 'loglevel=1']
    const args = ['mem=768M', `ubd0=${disk}`, `uml_dir=${folder}/uml`, ...root, ...console]
    // A group of its own: its processes are ended together.
    this.#child = spawn(kernel, args, {
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
      env: { PATH: process.env['PATH'], TMPDIR: folder },
    })
    this.#closed = once(this.#child, 'close')
    this.#child.once('close', () => {
      this.isOff = true
    })
    const { stdout } = this.#child
    if (stdout !== null)
      createInterface({ input: stdout }).on('line', (line) => onLine(line.trim()))
  }

  /** Returns when nothing of it is left and all that it said has been heard. */
  async cutPower(): Promise<void> {
    this.kill()
    await this.#closed
  }

  kill(): void {
    const { pid } = this.#child
    if (pid === undefined || this.isOff) return
    try {
      process.kill(-pid, 'SIGKILL')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

function initScript({ stateDir, command }: MachineOptions): string {
  const words = command.map((word) => `'${word}'`).join(' ')
  return `#!/bin/sh
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t ext4 /dev/ubda '${stateDir}' || echo 'the disk cannot be mounted'
ip link set lo up
${words} 2>&1
sync
echo o >/proc/sysrq-trigger
sleep 60
`
}
