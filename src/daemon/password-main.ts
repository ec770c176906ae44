/** The thread of a worker in which passwords are compared: it would hold up all sessions. */
import { parentPort } from 'node:worker_threads'
import { isPassword } from './login/password-hash.ts'
import type { PasswordAnswer, PasswordQuestion } from './login/password-thread.ts'

const answer = (reply: PasswordAnswer): void => parentPort?.postMessage(reply, [])

parentPort?.on('message', ({ number, hash, password }: PasswordQuestion) => {
  isPassword(hash, password).then(
    (isRight) => answer({ number, isRight }),
    () => answer({ number, isRight: undefined }),
  )
})
