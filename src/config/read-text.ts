/** The text of a config file. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { text as textOf } from 'node:stream/consumers'
import { MailmuxError, messageOf } from '../base/error.ts'

/** Far more than any config; a device has no end. */
const maxBytes = 16 * 1024 * 1024

/**
 * Reads the file; a pipe that the shell made (`--config <(…)`, /dev/stdin) to its end. Throws
 * CONFIG_UNREADABLE, also for what is no file: the open of a named pipe waits for a writer.
 */
export async function readConfigText(file: string): Promise<string> {
  try {
    const found = await stat(file)
    const isDevice = found.isBlockDevice() || found.isCharacterDevice()
    if (!isOfShell(file) && (found.isFIFO() || found.isSocket() || isDevice)) {
      throw new Error('not a regular file')
    }
    const text = await textOf(createReadStream(file, { end: maxBytes }))
    if (text.length > maxBytes) throw new Error('more than 16 MiB, which no config is')
    return text
  } catch (error) {
    throw new MailmuxError('CONFIG_UNREADABLE', `${file}: ${messageOf(error)}`, { cause: error })
  }
}

/** What a name in these folders leads to is open already. */
function isOfShell(file: string): boolean {
  return file === '/dev/stdin' || file.startsWith('/dev/fd/') || file.startsWith('/proc/')
}
