import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loadWebhookKey, webhookKeyFromTokens, webhookSecretOf } from './secret.ts'

const folder = mkdtempSync(join(tmpdir(), 'martillo-secret-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('NOTE6 secrets of webhooks', () => {
  it('NOTE6 are derived from the house key and the buyer', () => {
    const key = Buffer.from('0123456789abcdef0123456789abcdef')
    // printf ana | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef -binary | base64
    expect(webhookSecretOf(key, 'ana')).toBe('whsec_1m538X+vm88j9sTWyYgU4Ck9FQqsUUc6Ez5vHycb5gs=')
    expect(webhookSecretOf(key, 'ben')).not.toBe(webhookSecretOf(key, 'ana'))
  })

  it('NOTE6 the key is made once, for its owner only, and read from then on', () => {
    const path = join(folder, 'new', 'webhook.key')
    const key = loadWebhookKey(path)
    expect(key).toHaveLength(32)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(loadWebhookKey(path)).toEqual(key)
    expect(loadWebhookKey(join(folder, 'other.key'))).not.toEqual(key)
  })

  it('NOTE6 follows from the key for tokens where no file is configured', () => {
    const jwtSecret = Buffer.from('0123456789abcdef0123456789abcdef').toString('base64url')
    // printf 'martillo webhooks' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
    expect(webhookKeyFromTokens(jwtSecret).toString('hex')).toBe(
      '7500403def4e16ada2593e1febc7045fa1b8d734c1b38d9b81c0144caa068782',
    )
  })

  it('NOTE6 a damaged key is an error, never replaced', () => {
    const path = join(folder, 'damaged.key')
    writeFileSync(path, 'c2hvcnQ=\n')
    expect(() => loadWebhookKey(path)).toThrow('does not hold a webhook key')
  })
})
