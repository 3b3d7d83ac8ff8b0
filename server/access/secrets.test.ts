import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../../runtime/clock.ts'
import { createLogger, silentLogger } from '../../runtime/logger.ts'
import { Tokens } from './auth.ts'
import { keepOperatorToken, keepSecret, SecretFileError } from './secrets.ts'

const dayMs = 24 * 60 * 60 * 1000
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'martillo-secrets-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

function tokensWith(clock: ManualClock, secret = Buffer.alloc(32, 7)): Tokens {
  return new Tokens({ secret, audience: 'martillo', toleranceSeconds: 5, cacheMax: 10, clock })
}

describe('secret files', () => {
  test('AUTH1 the key is made once, for its owner alone, and is the same at every later start', async () => {
    const path = join(folder, 'deep', 'jwt.secret')
    const first = await keepSecret(path, silentLogger)
    expect(first.length).toBe(32)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(Buffer.from(await keepSecret(path, silentLogger))).toEqual(Buffer.from(first))
    expect(await readdir(join(folder, 'deep'))).toEqual(['jwt.secret'])
  })

  test('AUTH1 of many starts at once all get the same key', async () => {
    const path = join(folder, 'jwt.secret')
    const keys = await Promise.all(Array.from({ length: 20 }, () => keepSecret(path, silentLogger)))
    expect(new Set(keys.map((key) => Buffer.from(key).toString('hex'))).size).toBe(1)
    expect(await readdir(folder)).toEqual(['jwt.secret'])
  })

  test('AUTH1 a damaged key is refused with the remedy, and one that others may read is logged', async () => {
    const path = join(folder, 'jwt.secret')
    await writeFile(path, 'short\n')
    await expect(keepSecret(path, silentLogger)).rejects.toBeInstanceOf(SecretFileError)
    await rm(path)
    await keepSecret(path, silentLogger)
    await chmod(path, 0o644)
    const lines: string[] = []
    const logger = createLogger({
      level: 'info',
      role: 't',
      destination: { write: (line) => lines.push(line) },
    })
    await keepSecret(path, logger)
    expect(lines.join()).toContain('token_secret_readable_by_others')
  })

  test("AUTH8 the operator's token is kept while it is valid for a month, and renewed before", async () => {
    const clock = new ManualClock()
    const path = join(folder, 'operator.token')
    const tokens = tokensWith(clock)
    await keepOperatorToken(path, tokens, clock.nowMs())
    const first = await readFile(path, 'utf8')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const check = await tokens.verify(first.trim())
    expect(check).toMatchObject({ ok: true, identity: { subject: 'operator', roles: ['operator'] } })
    await keepOperatorToken(path, tokens, clock.nowMs())
    expect(await readFile(path, 'utf8')).toBe(first)
    clock.advance(340 * dayMs)
    await keepOperatorToken(path, tokens, clock.nowMs())
    expect(await readFile(path, 'utf8')).not.toBe(first)
    expect(await readdir(folder)).toEqual(['operator.token'])
  })

  test("AUTH8 an operator's token of another key is replaced", async () => {
    const clock = new ManualClock()
    const path = join(folder, 'operator.token')
    await keepOperatorToken(path, tokensWith(clock, Buffer.alloc(32, 1)), clock.nowMs())
    const tokens = tokensWith(clock, Buffer.alloc(32, 2))
    await keepOperatorToken(path, tokens, clock.nowMs())
    expect(await tokens.verify((await readFile(path, 'utf8')).trim())).toMatchObject({ ok: true })
  })
})
