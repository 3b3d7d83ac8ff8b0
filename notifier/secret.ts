/**
 * The keys that sign webhooks.
 * Each buyer has one secret, derived from one key of the house, so that nothing is stored or sent for each buyer.
 * Invariant: one buyer's secret reveals nothing about another's, nor about the house's key.
 * Source: Standard Webhooks, "Signature scheme" (24 to 64 bytes, `whsec_` and base64); docs/spec.md NOTE6.
 */
import { createHmac, randomBytes } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import type { SubjectId } from '../protocol/ids.ts'

const keyBytes = 32

/** The file holds no key. An operator must repair it: a new key would break every receiver. */
class WebhookKeyError extends Error {
  readonly code = 'webhook_key_invalid'
  readonly retryable = false
}

/** The house's key, 32 bytes. */
export type WebhookKey = Buffer

/** A buyer's secret: `whsec_` and the base64 of HMAC-SHA256(house key, buyer's id). */
export function webhookSecretOf(key: WebhookKey, buyerId: SubjectId | string): string {
  return `whsec_${createHmac('sha256', key).update(buyerId, 'utf8').digest('base64')}`
}

/**
 * The key that all processes of a house derive alike from its key for tokens, where no file is configured: servers
 * give buyers the secrets that notifiers sign with. It reveals nothing about the key for tokens.
 */
export function webhookKeyFromTokens(jwtSecret: string): WebhookKey {
  return createHmac('sha256', Buffer.from(jwtSecret, 'base64url'))
    .update('martillo webhooks', 'utf8')
    .digest()
}

/**
 * Reads the key from a file (base64, 32 bytes), or makes one (mode 0600) where there is none. All notifiers of a
 * house share one file. Throws `WebhookKeyError` when the file holds anything else.
 */
export function loadWebhookKey(path: string): WebhookKey {
  const found = readKey(path)
  if (found !== undefined) return found
  mkdirSync(dirname(path), { recursive: true })
  // Written beside it and linked into place: a crash leaves no half key, and of two processes that start together one wins.
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  const file = openSync(draft, 'wx', 0o600)
  try {
    writeSync(file, `${randomBytes(keyBytes).toString('base64')}\n`)
    fsyncSync(file)
    linkSync(draft, path)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  } finally {
    closeSync(file)
    unlinkSync(draft)
  }
  const key = readKey(path)
  if (key === undefined)
    throw new WebhookKeyError(`${path} is gone again: is something else clearing this folder?`)
  return key
}

function readKey(path: string): WebhookKey | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  const key = Buffer.from(text.trim(), 'base64')
  if (key.length !== keyBytes)
    throw new WebhookKeyError(`${path} does not hold a webhook key (32 bytes in base64)`)
  return key
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
