/** Compares passwords in a thread of its own, which begins with the first and keeps no process alive. */
import { Worker } from 'node:worker_threads'
import { moduleFile } from '../../base/module-file.ts'

export interface PasswordQuestion {
  readonly number: number
  readonly hash: string
  readonly password: string
}

export interface PasswordAnswer {
  readonly number: number
  /** Undefined where it could not be found out. */
  readonly isRight: boolean | undefined
}

type Answer = PasswordAnswer['isRight']

export class PasswordThread {
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #worker: Worker | undefined
  #count = 0

  isPassword(hash: string, password: string): Promise<Answer> {
    const number = this.#count++
    return new Promise((resolve) => {
      this.#waiting.set(number, resolve)
      this.#worker ??= this.#begin()
      const question: PasswordQuestion = { number, hash, password }
      this.#worker.postMessage(question, [])
    })
  }

  #begin(): Worker {
    const worker = new Worker(moduleFile('daemon/password-main'))
    worker.on('message', ({ number, isRight }: PasswordAnswer) => {
      this.#waiting.get(number)?.(isRight)
      this.#waiting.delete(number)
    })
    // Its end follows; the next question begins another.
    worker.on('error', () => undefined)
    worker.on('exit', () => {
      this.#worker = undefined
      const waiting = [...this.#waiting.values()]
      this.#waiting.clear()
      for (const answer of waiting) answer(undefined)
    })
    worker.unref()
    return worker
  }
}

/** One for all generations of the config: comparing goes on over a reload. */
export const passwordThread = new PasswordThread()
