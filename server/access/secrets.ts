/**
 * Keeps the secret files of the data folder.
 *
 * They are the key that signs tokens, and the operator's token that the local command line uses. Invariant: a file is
 * complete or absent (written under another name, then linked or renamed), and only its owner can read it (0600). Of
 * two processes that start at once, both get the same key. Source: docs/spec.md AUTH1.
 */
import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { SubjectId } from '../../protocol/ids.ts'
import type { Logger } from '../../runtime/logger.ts'
import type { Tokens } from './auth.ts'

const secretBytes = 32
const operatorTtlSeconds = 366 * 24 * 60 * 60
const renewBeforeMs = 30 * 24 * 60 * 60 * 1000

export class SecretFileError extends Error {
  readonly code = 'secret_file_unusable'
  readonly retryable = false
}

/** The key in the file, as base64url text; made on the first start. */
export async function keepSecret(path: string, logger: Logger): Promise<Uint8Array> {
  const found = await readIfThere(path)
  if (found === undefined) {
    const made = await writeAside(path, `${randomBytes(secretBytes).toString('base64url')}\n`)
    try {
      await link(made, path)
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    } finally {
      await unlink(made)
    }
    logger.info('token_secret_made', { path })
  } else if (((await stat(path)).mode & 0o077) !== 0) logger.warn('token_secret_readable_by_others', { path })
  const secret = Buffer.from((await readFile(path, 'utf8')).trim(), 'base64url')
  if (secret.length < secretBytes)
    throw new SecretFileError(
      `${path} is damaged: it holds no key of ${secretBytes} bytes. Remove it to get a new one (all tokens end).`,
    )
  return secret
}

/** Writes a new operator's token unless the file has one that is valid for at least 30 days. */
export async function keepOperatorToken(path: string, tokens: Tokens, nowMs: number): Promise<void> {
  const found = (await readIfThere(path))?.trim()
  if (found !== undefined) {
    const check = await tokens.verify(found)
    if (
      check.ok &&
      check.identity.roles.includes('operator') &&
      check.identity.expiresAtMs > nowMs + renewBeforeMs
    )
      return
  }
  const { token } = await tokens.issue('operator' as SubjectId, ['operator'], operatorTtlSeconds)
  await rename(await writeAside(path, `${token}\n`), path)
}

/** Writes a new file beside `path`, durable and 0600, and returns its name. */
async function writeAside(path: string, text: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const aside = `${path}.${randomBytes(6).toString('hex')}`
  const file = await open(aside, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  return aside
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw new SecretFileError(`cannot read ${path}`, { cause: error })
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
