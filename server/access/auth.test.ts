import { createHmac, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportJWK, exportSPKI, generateKeyPair, type JWK, SignJWT } from 'jose'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { SubjectId } from '../../protocol/ids.ts'
import { ManualClock } from '../../runtime/clock.ts'
import { jwksFromFile, type TokenOptions, Tokens } from './auth.ts'

const secret = randomBytes(32)
const clock = new ManualClock()
const nowSeconds = Math.floor(clock.nowMs() / 1000)

function tokensWith(options: Partial<TokenOptions> = {}): Tokens {
  return new Tokens({ secret, audience: 'martillo', toleranceSeconds: 5, cacheMax: 100, clock, ...options })
}

interface Claims {
  readonly sub?: unknown
  readonly aud?: unknown
  readonly iss?: unknown
  readonly exp?: unknown
  readonly nbf?: unknown
  readonly roles?: unknown
}

const good: Claims = { sub: 'ann', aud: 'martillo', iss: 'martillo', exp: nowSeconds + 60, roles: ['bidder'] }

/** Signs a token directly, so that any header and any claims can be tested. */
function forge(
  claims: Claims,
  header: Record<string, unknown> = { alg: 'HS256' },
  key: Buffer | string = secret,
): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const body = `${part(header)}.${part(claims)}`
  return `${body}.${createHmac('sha256', key).update(body).digest('base64url')}`
}

type Pair = Awaited<ReturnType<typeof generateKeyPair>>
const pairs: Record<'RS256' | 'ES256' | 'EdDSA', Pair> = {} as never
const keys: JWK[] = []

beforeAll(async () => {
  for (const alg of ['RS256', 'ES256', 'EdDSA'] as const) {
    pairs[alg] = await generateKeyPair(alg, { extractable: true })
    keys.push({ ...(await exportJWK(pairs[alg].publicKey)), alg, kid: alg })
  }
})

function signed(alg: keyof typeof pairs, claims: Claims = good): Promise<string> {
  return new SignJWT({ ...claims } as never).setProtectedHeader({ alg, kid: alg }).sign(pairs[alg].privateKey)
}

describe('tokens of the house', () => {
  test('AUTH1 a token of the house names its subject, roles and expiry', async () => {
    const tokens = tokensWith()
    const { token, expiresAtMs } = await tokens.issue('ann' as SubjectId, ['seller', 'bidder'], 60)
    expect(await tokens.verify(token)).toEqual({
      ok: true,
      identity: {
        subject: 'ann',
        roles: ['bidder', 'seller'],
        expiresAtMs,
        issuedAtMs: clock.nowMs(),
        isOwn: true,
      },
    })
    expect(expiresAtMs).toBe((nowSeconds + 60) * 1000)
    expect(() => tokensWith({ secret: randomBytes(31) })).toThrow(RangeError)
  })

  test('AUTH10 revoked tokens count no more, by subject and by the moment of their issue, to the millisecond', async () => {
    const virtual = new ManualClock()
    const tokens = tokensWith({ clock: virtual })
    const issue = async (subject: string) => {
      const { token } = await tokens.issue(subject as SubjectId, ['bidder'], 3_600)
      const check = await tokens.verify(token)
      if (!check.ok) throw new Error(check.message)
      return { token, identity: check.identity }
    }
    const [ann, bob] = [await issue('ann'), await issue('bob')]
    const untilMs = virtual.nowMs()
    tokens.revoke({ allUntilMs: 0, subjects: [['ann' as SubjectId, untilMs]] })
    virtual.advance(1)
    const later = await issue('ann')
    const refused = { ok: false, message: 'the token was revoked', retry: false }
    expect(await tokens.verify(ann.token)).toEqual(refused)
    const fresh = tokensWith({ clock: virtual })
    fresh.revoke({ allUntilMs: 0, subjects: [['ann' as SubjectId, untilMs]] })
    expect(await fresh.verify(ann.token), 'also when it was not remembered').toEqual(refused)
    expect(await tokens.verify(bob.token)).toMatchObject({ ok: true })
    expect(await tokens.verify(later.token)).toMatchObject({ ok: true })
    expect([ann, bob, later].map(({ identity }) => tokens.isOver(identity))).toEqual([true, false, false])
    tokens.revoke({ allUntilMs: virtual.nowMs(), subjects: [] })
    for (const { token } of [bob, later]) expect(await tokens.verify(token)).toEqual(refused)
    const undated = forge({ ...good, exp: Math.floor(virtual.nowMs() / 1000) + 60 })
    expect(await tokens.verify(undated), 'a token that does not say when it was issued').toEqual(refused)
  })

  test('AUTH2 a token with a wrong audience, issuer, signature, time or subject, or a missing claim, is refused', async () => {
    const tokens = tokensWith()
    expect(await tokens.verify(forge(good))).toMatchObject({ ok: true })
    const without = (name: keyof Claims): Claims => ({ ...good, [name]: undefined })
    const bad: Record<string, string> = {
      audience: forge({ ...good, aud: 'other' }),
      'no audience': forge(without('aud')),
      issuer: forge({ ...good, iss: 'other' }),
      'no issuer': forge(without('iss')),
      expired: forge({ ...good, exp: nowSeconds - 6 }),
      'no expiry': forge(without('exp')),
      'expiry as text': forge({ ...good, exp: 'never' }),
      'not yet': forge({ ...good, nbf: nowSeconds + 60 }),
      'no subject': forge(without('sub')),
      'subject of spaces': forge({ ...good, sub: 'a b' }),
      'subject as number': forge({ ...good, sub: 7 }),
      'other key': forge(good, { alg: 'HS256' }, randomBytes(32)),
      truncated: forge(good).slice(0, -3),
      'not a token': 'abc',
      empty: '',
      'two parts': 'a.b',
      'header not JSON': `${Buffer.from('{').toString('base64url')}.e30.x`,
      critical: forge(good, { alg: 'HS256', crit: ['exp'] }),
      huge: `${forge(good)}${'x'.repeat(10_000)}`,
    }
    for (const [what, token] of Object.entries(bad)) {
      const check = await tokens.verify(token)
      expect(check, what).toMatchObject({ ok: false, retry: false })
      if (!check.ok && token.length > 8) expect(check.message, what).not.toContain(token.slice(0, 8))
    }
  })

  test('AUTH2 an expiry within the tolerance still counts, one beyond does not', async () => {
    const tokens = tokensWith()
    expect(await tokens.verify(forge({ ...good, exp: nowSeconds - 4 }))).toMatchObject({ ok: true })
    expect(await tokens.verify(forge({ ...good, exp: nowSeconds - 5 }))).toMatchObject({ ok: false })
  })

  test('AUTH6 unknown roles are ignored, and a token without a role can watch', async () => {
    const tokens = tokensWith()
    const rolesOf = async (roles: unknown) => {
      const check = await tokens.verify(forge({ ...good, roles }))
      return check.ok ? check.identity.roles : check.message
    }
    expect(await rolesOf(['root', 'operator', 'bidder', 'bidder'])).toEqual(['bidder', 'operator'])
    expect(await rolesOf(undefined)).toEqual([])
    expect(await rolesOf('operator')).toEqual([])
    expect(await rolesOf({ 0: 'operator' })).toEqual([])
    expect(await rolesOf([['operator']])).toEqual([])
  })
})

describe('signatures', () => {
  test('AUTH3 the algorithm selects the key: none, HMAC with a public key, and others are refused', async () => {
    const tokens = tokensWith({ jwks: { keys: { keys } } })
    const publicPem = await exportSPKI(pairs.RS256.publicKey)
    const publicJwk = JSON.stringify(keys[0])
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify(good)).toString('base64url')}.`
    const bad: Record<string, string> = {
      none: unsigned,
      'public key as HMAC key': forge(good, { alg: 'HS256', kid: 'RS256' }, publicPem),
      'published key as HMAC key': forge(good, { alg: 'HS256', kid: 'RS256' }, publicJwk),
      'HMAC under another name': forge(good, { alg: 'RS256', kid: 'RS256' }),
      HS512: forge(good, { alg: 'HS512' }),
      'own key in the header': forge(good, { alg: 'HS256', jwk: { kty: 'oct', k: 'AAAA' } }, Buffer.alloc(3)),
      'no algorithm': forge(good, {}),
    }
    for (const [what, token] of Object.entries(bad))
      expect(await tokens.verify(token), what).toMatchObject({ ok: false, retry: false })
  })

  test('AUTH3 a symmetric key among the published ones is never used', async () => {
    const k = randomBytes(32)
    const published = [...keys, { kty: 'oct', k: k.toString('base64url'), alg: 'HS256', kid: 'oct' }]
    const tokens = tokensWith({ jwks: { keys: { keys: published } } })
    expect(await tokens.verify(forge(good, { alg: 'HS256', kid: 'oct' }, k))).toMatchObject({ ok: false })
  })

  test("AUTH4 tokens of a configured authority are accepted, in each algorithm, besides the house's", async () => {
    const tokens = tokensWith({ jwks: { keys: { keys } }, issuer: 'https://id.example' })
    for (const alg of ['RS256', 'ES256', 'EdDSA'] as const) {
      const claims = { ...good, iss: 'https://id.example', roles: ['seller'] }
      expect(await tokens.verify(await signed(alg, claims)), alg).toMatchObject({
        ok: true,
        identity: { subject: 'ann', roles: ['seller'] },
      })
      expect(await tokens.verify(await signed(alg, good)), 'another issuer').toMatchObject({ ok: false })
    }
    expect(await tokens.verify(forge(good))).toMatchObject({ ok: true })
    expect(await tokensWith().verify(await signed('ES256'))).toMatchObject({ ok: false, retry: false })
  })

  test('AUTH4 a key that the authority did not publish is not trusted', async () => {
    const tokens = tokensWith({ jwks: { keys: { keys: keys.filter(({ alg }) => alg !== 'ES256') } } })
    expect(await tokens.verify(await signed('ES256'))).toMatchObject({ ok: false, retry: false })
  })
})

describe('published keys', () => {
  let server: Server | undefined
  let folder: string | undefined
  afterEach(async () => {
    server?.close()
    server = undefined
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  })

  test('AUTH4 keys may come from an address; while it is away the token is not called invalid', async () => {
    let isAway = true
    server = createServer((_request, response) => {
      response.statusCode = isAway ? 500 : 200
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ keys }))
    })
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const url = `http://127.0.0.1:${port}/keys`
    const tokens = tokensWith({ jwks: { url } })
    expect(await tokens.verify(await signed('ES256'))).toMatchObject({ ok: false, retry: true })
    isAway = false
    expect(await tokensWith({ jwks: { url } }).verify(await signed('ES256'))).toMatchObject({ ok: true })
    server.close()
    server.closeAllConnections()
    expect(await tokensWith({ jwks: { url } }).verify(await signed('ES256'))).toMatchObject({
      ok: false,
      retry: true,
    })
  })

  test('AUTH4 keys may come from a file; one without keys is refused', async () => {
    folder = await mkdtemp(join(tmpdir(), 'martillo-jwks-'))
    const path = join(folder, 'jwks.json')
    await writeFile(path, JSON.stringify({ keys }))
    const tokens = tokensWith({ jwks: await jwksFromFile(path) })
    expect(await tokens.verify(await signed('EdDSA'))).toMatchObject({ ok: true })
    await writeFile(path, '{"keys":[]}')
    await expect(jwksFromFile(path)).rejects.toThrow('holds no published keys')
  })
})

describe('verified tokens', () => {
  test('AUTH5 a cached token is accepted at once, until it expires', async () => {
    const own = new ManualClock()
    const tokens = tokensWith({ clock: own })
    const { token } = await tokens.issue('ann' as SubjectId, ['bidder'], 60)
    expect(tokens.verify(token)).toBeInstanceOf(Promise)
    await tokens.verify(token)
    const again = tokens.verify(token)
    expect(again).not.toBeInstanceOf(Promise)
    expect(again).toMatchObject({ ok: true })
    own.advance(66_000)
    expect(tokens.verify(token)).toMatchObject({ ok: false, message: 'the token has expired' })
    expect(await tokens.verify(token)).toMatchObject({ ok: false })
  })

  test('AUTH9 the number of cached tokens is bounded; the one unused for longest is dropped', async () => {
    const tokens = tokensWith({ cacheMax: 2 })
    const [a, b, c] = await Promise.all(
      ['a', 'b', 'c'].map(async (subject) => (await tokens.issue(subject as SubjectId, [], 60)).token),
    )
    await tokens.verify(a as string)
    await tokens.verify(b as string)
    expect(tokens.verify(a as string)).not.toBeInstanceOf(Promise)
    await tokens.verify(c as string)
    expect(tokens.verify(a as string)).not.toBeInstanceOf(Promise)
    expect(tokens.verify(b as string)).toBeInstanceOf(Promise)
  })
})
