/**
 * The reader's token, kept in the browser, and the claims in it, unchecked.
 * Invariant: nothing here decides what its owner may do; the house does that at every request. Only the token and a
 * display name are stored. Source: RFC 7519 (payload of a JWT).
 */

export interface Identity {
  readonly token: string
  /** The token's `sub`. */
  readonly id: string
  readonly roles: readonly string[]
  /** Epoch ms; absent: it does not expire. */
  readonly expiresAtMs?: number
  /** As the buyer gave it when it registered. */
  readonly name?: string
}

export interface IdentityStore {
  read(): Identity | undefined
  write(token: string, name?: string): Identity | undefined
  clear(): void
}

const storageKey = 'martillo.identity'

/** What a token says of itself, or `undefined` where it is no JWT with a subject. */
export function identityOf(token: string, name?: string): Identity | undefined {
  const trimmed = token.trim().replace(/^bearer\s+/i, '')
  const parts = trimmed.split('.')
  if (parts.length !== 3 || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(trimmed)) return undefined
  const claims = claimsOf(parts[1] as string)
  if (claims === undefined || typeof claims['sub'] !== 'string') return undefined
  const roles = Array.isArray(claims['roles'])
    ? claims['roles'].filter((role): role is string => typeof role === 'string')
    : []
  const expires = claims['exp']
  return {
    token: trimmed,
    id: claims['sub'],
    roles,
    ...(typeof expires === 'number' ? { expiresAtMs: expires * 1_000 } : {}),
    ...(name === undefined || name === '' ? {} : { name }),
  }
}

function claimsOf(part: string): Record<string, unknown> | undefined {
  try {
    const bytes = Uint8Array.from(atob(part.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0))
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof claims === 'object' && claims !== null ? (claims as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** The store over a browser's `localStorage` (or anything of its shape). A token that has expired is forgotten. */
export function identityStore(
  storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>,
  nowMs: () => number,
): IdentityStore {
  return {
    read() {
      const text = storage.getItem(storageKey)
      if (text === null) return undefined
      const kept = keptOf(text)
      const identity = kept && identityOf(kept.token, kept.name)
      if (identity !== undefined && (identity.expiresAtMs ?? Number.POSITIVE_INFINITY) > nowMs())
        return identity
      storage.removeItem(storageKey)
      return undefined
    },
    write(token, name) {
      const identity = identityOf(token, name)
      if (identity !== undefined)
        storage.setItem(storageKey, JSON.stringify({ token: identity.token, name: identity.name }))
      return identity
    },
    clear: () => storage.removeItem(storageKey),
  }
}

function keptOf(text: string): { token: string; name?: string } | undefined {
  try {
    const kept: unknown = JSON.parse(text)
    if (typeof kept !== 'object' || kept === null || !('token' in kept)) return undefined
    const { token } = kept
    const name = 'name' in kept && typeof kept.name === 'string' ? { name: kept.name } : {}
    return typeof token === 'string' ? { token, ...name } : undefined
  } catch {
    return undefined
  }
}
