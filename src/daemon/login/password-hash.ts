/** Compares passwords with their hashes. The one file that knows `unixcrypt` and `bcryptjs`. */
import { argon2, timingSafeEqual } from 'node:crypto'
import { compare } from 'bcryptjs'
import { verify } from 'unixcrypt'
import { argon2Form } from './hash-form.ts'

/**
 * `hash`: one that is taken; `password`: octets as a latin1 string. Takes its time: tens of
 * milliseconds, and more.
 */
export async function isPassword(hash: string, password: string): Promise<boolean> {
  const octets = Buffer.from(password, 'latin1')
  const argon = argon2Form.exec(hash)
  if (argon !== null) return isArgon2(argon, octets)
  // The libraries take text, and would hash something else than what is no UTF-8.
  const text = octets.toString('utf8')
  if (!Buffer.from(text, 'utf8').equals(octets)) return false
  return hash.startsWith('$2') ? compare(text, hash) : verify(text, hash)
}

function isArgon2(parts: readonly string[], message: Buffer): Promise<boolean> {
  const [, algorithm, memory, passes, parallelism, salt = '', digest = ''] = parts
  const expected = Buffer.from(digest, 'base64')
  const options = {
    message,
    nonce: Buffer.from(salt, 'base64'),
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    tagLength: expected.length,
  }
  return new Promise((resolve, reject) => {
    argon2(algorithm === 'argon2i' ? 'argon2i' : 'argon2id', options, (error, found) => {
      if (error === null) resolve(timingSafeEqual(found, expected))
      else reject(error)
    })
  })
}
