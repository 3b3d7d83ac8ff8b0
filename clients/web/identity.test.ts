import { describe, expect, it } from 'vitest'
import { identityOf, identityStore } from './identity.ts'

function tokenOf(claims: unknown): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'HS256' })}.${part(claims)}.c2lnbmF0dXJl`
}

const nowMs = 1_800_000_000_000
const token = tokenOf({ sub: 'buyer-ñ', roles: ['bidder', 7], exp: nowMs / 1_000 + 60 })

function memory() {
  const items = new Map<string, string>()
  return {
    items,
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key),
  }
}

describe('who is signed in', () => {
  it('is read from the token', () => {
    expect(identityOf(` Bearer ${token}\n`, 'Ñandú')).toEqual({
      token,
      id: 'buyer-ñ',
      roles: ['bidder'],
      expiresAtMs: nowMs + 60_000,
      name: 'Ñandú',
    })
    expect(identityOf(tokenOf({ sub: 'a' }))).toEqual({ token: tokenOf({ sub: 'a' }), id: 'a', roles: [] })
  })

  it.each(['', 'a.b', 'a.b.c', 'a.!!.c', tokenOf({ roles: [] }), tokenOf(null), tokenOf({ sub: 5 })])(
    'is nobody by %j',
    (text) => {
      expect(identityOf(text)).toBeUndefined()
    },
  )

  it('is kept in the browser until it expires', () => {
    const storage = memory()
    let clock = nowMs
    const store = identityStore(storage, () => clock)
    expect(store.read()).toBeUndefined()
    expect(store.write('nonsense')).toBeUndefined()
    expect(storage.items.size).toBe(0)
    store.write(token, 'Ana')
    expect(store.read()).toMatchObject({ id: 'buyer-ñ', name: 'Ana' })
    clock += 60_000
    expect(store.read()).toBeUndefined()
    expect(storage.items.size).toBe(0)
  })

  it('is nobody when the stored value is damaged, and nobody after signing out', () => {
    const storage = memory()
    const store = identityStore(storage, () => nowMs)
    for (const text of ['', '{', '[]', '{"token":5}', '{"token":"x"}']) {
      storage.items.set('martillo.identity', text)
      expect(store.read()).toBeUndefined()
    }
    store.write(token)
    store.clear()
    expect(store.read()).toBeUndefined()
  })
})
