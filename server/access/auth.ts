/**
 * Issues and verifies tokens (JSON Web Tokens).
 *
 * A token comes from this house (HS256, its own secret) or from a configured authority (RS256, ES256 or EdDSA, its
 * published keys). This is the only file that imports jose. Where a role is needed is decided by the routes.
 * Invariant: the algorithm selects the kind of key before a signature is checked, so a public key never serves as an
 * HMAC secret. A token without expiry, audience or a usable subject is refused. Verified identities are cached
 * (bounded, least recently used first), and their expiry is checked at every use. Source: RFC 7519; RFC 8725 §3.1;
 * docs/protocol.md, "HTTP" and "WebSocket".
 */
import { webcrypto } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  decodeProtectedHeader,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
  SignJWT,
} from 'jose'
import { isId, type SubjectId } from '../../protocol/ids.ts'
import { tokenLengthMax } from '../../protocol/limits.ts'
import { type Role, roles } from '../../protocol/server-frames.ts'
import type { Clock } from '../../runtime/clock.ts'

/** The subject and the roles of a verified token. */
export interface Identity {
  readonly subject: SubjectId
  /** In the order of the contract, each once. Empty: may only watch. */
  readonly roles: readonly Role[]
  readonly expiresAtMs: number
  /** 0 where the token does not say it. */
  readonly issuedAtMs: number
  /** Signed by this house, not by an outside authority. */
  readonly isOwn: boolean
}

/** Tokens issued until a moment (epoch ms) count no more: those of everybody, and those of single subjects. */
export interface Revoked {
  readonly allUntilMs: number
  readonly subjects: Iterable<readonly [subject: SubjectId, untilMs: number]>
}

export type TokenCheck =
  | { readonly ok: true; readonly identity: Identity }
  /** `retry`: the authority's keys could not be fetched, so the token may be valid. */
  | { readonly ok: false; readonly message: string; readonly retry: boolean }

export interface IssuedToken {
  readonly token: string
  readonly expiresAtMs: number
}

/** The source of an authority's published keys. */
export type JwksSource = { readonly url: string } | { readonly keys: JSONWebKeySet }

export interface TokenOptions {
  /** At least 32 bytes. */
  readonly secret: Uint8Array
  readonly audience: string
  readonly jwks?: JwksSource
  /** Required `iss` of the authority's tokens; absent: any. */
  readonly issuer?: string
  /** How far clocks may differ, for `exp` and `nbf`. */
  readonly toleranceSeconds: number
  /** How many verified tokens are cached. */
  readonly cacheMax: number
  readonly clock: Clock
}

const authorityAlgorithms = ['RS256', 'ES256', 'EdDSA']
const houseIssuer = 'martillo'

export class Tokens {
  readonly #options: TokenOptions
  /** Imported once: importing it for each token would cost more than verifying the token. */
  readonly #secret: Promise<webcrypto.CryptoKey>
  readonly #authorityKeys: JWTVerifyGetKey | undefined
  readonly #verified = new Map<string, Identity>()
  #revokedAllMs = 0
  #revoked: ReadonlyMap<SubjectId, number> = new Map()

  constructor(options: TokenOptions) {
    if (options.secret.length < 32) throw new RangeError('the secret for tokens has at least 32 bytes')
    this.#options = options
    const algorithm = { name: 'HMAC', hash: 'SHA-256' }
    this.#secret = webcrypto.subtle.importKey('raw', options.secret, algorithm, false, ['sign', 'verify'])
    if (options.jwks !== undefined) this.#authorityKeys = keysOf(options.jwks)
  }

  /** Verifies a token; a cached one without a promise. Never rejects. */
  verify(token: string): TokenCheck | Promise<TokenCheck> {
    const known = this.#verified.get(token)
    if (known === undefined) return this.#verifyAnew(token)
    const end = this.#endOf(known)
    if (end !== undefined) {
      this.#verified.delete(token)
      return refused(end)
    }
    this.#verified.delete(token)
    this.#verified.set(token, known)
    return { ok: true, identity: known }
  }

  /** Whether verifying the token may take as long as its authority takes to give its keys. */
  asksAuthority(token: string): boolean {
    return algorithmOf(token) !== 'HS256'
  }

  /** Whether an identity that was verified counts no more: its token has expired, or was revoked. */
  isOver(identity: Identity): boolean {
    return this.#endOf(identity) !== undefined
  }

  /** From now on these are revoked, and no others. */
  revoke({ allUntilMs, subjects }: Revoked): void {
    this.#revokedAllMs = allUntilMs
    this.#revoked = new Map(subjects)
  }

  /** Why it counts no more, if so. */
  #endOf({ subject, issuedAtMs, expiresAtMs }: Identity): string | undefined {
    const { clock, toleranceSeconds } = this.#options
    if (clock.nowMs() >= expiresAtMs + toleranceSeconds * 1000) return 'the token has expired'
    const revokedMs = Math.max(this.#revokedAllMs, this.#revoked.get(subject) ?? 0)
    return revokedMs > 0 && issuedAtMs <= revokedMs ? 'the token was revoked' : undefined
  }

  /** Signs a token of the house. */
  async issue(subject: SubjectId, granted: readonly Role[], ttlSeconds: number): Promise<IssuedToken> {
    const nowMs = this.#options.clock.nowMs()
    const nowSeconds = Math.floor(nowMs / 1000)
    const expiresAtSeconds = nowSeconds + ttlSeconds
    const token = await new SignJWT({ roles: [...granted] })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuer(houseIssuer)
      .setSubject(subject)
      .setAudience(this.#options.audience)
      // With its milliseconds, so that a token issued just after a revocation is distinguished from one before.
      .setIssuedAt(nowMs / 1000)
      .setExpirationTime(expiresAtSeconds)
      .sign(await this.#secret)
    return { token, expiresAtMs: expiresAtSeconds * 1000 }
  }

  async #verifyAnew(token: string): Promise<TokenCheck> {
    if (token.length > tokenLengthMax) return refused('the token is too long')
    const algorithm = algorithmOf(token)
    if (algorithm === undefined) return refused('the token is malformed')
    let payload: JWTPayload
    const common: JWTVerifyOptions = {
      audience: this.#options.audience,
      clockTolerance: this.#options.toleranceSeconds,
      currentDate: new Date(this.#options.clock.nowMs()),
      requiredClaims: ['exp', 'sub', 'aud'],
    }
    try {
      if (algorithm === 'HS256') {
        const options = { ...common, algorithms: ['HS256'], issuer: houseIssuer }
        payload = (await jwtVerify(token, await this.#secret, options)).payload
      } else if (this.#authorityKeys !== undefined && authorityAlgorithms.includes(algorithm)) {
        const { issuer } = this.#options
        const options = {
          ...common,
          algorithms: authorityAlgorithms,
          ...(issuer === undefined ? {} : { issuer }),
        }
        payload = (await jwtVerify(token, this.#authorityKeys, options)).payload
      } else return refused('the token is signed with an algorithm that this house does not accept')
    } catch (error) {
      return refusal(error)
    }
    const identity = identityOf(payload, algorithm === 'HS256')
    if (identity === undefined) return refused('the subject of the token is not an id')
    const end = this.#endOf(identity)
    if (end !== undefined) return refused(end)
    this.#remember(token, identity)
    return { ok: true, identity }
  }

  #remember(token: string, identity: Identity): void {
    if (this.#verified.size >= this.#options.cacheMax) {
      const oldest = this.#verified.keys().next()
      if (oldest.done !== true) this.#verified.delete(oldest.value)
    }
    this.#verified.set(token, identity)
  }
}

/** Published keys from a file. Rejects when it is not there or holds none. */
export async function jwksFromFile(path: string): Promise<JwksSource> {
  const read: unknown = JSON.parse(await readFile(path, 'utf8'))
  const keys = (read as Partial<JSONWebKeySet> | null)?.keys
  if (!Array.isArray(keys) || keys.length === 0) throw new TypeError(`${path} holds no published keys (JWKS)`)
  return { keys: { keys } }
}

/** The token of an `Authorization` header, or `undefined` when it holds none. */
export function bearerToken(header: string): string | undefined {
  return /^bearer +(\S+) *$/i.exec(header)?.[1]
}

/** Whether an identity has a role. A client without a token has none. */
export function hasRole(identity: Identity | undefined, role: Role): boolean {
  return identity?.roles.includes(role) ?? false
}

function refused(message: string): TokenCheck {
  return { ok: false, message, retry: false }
}

/** Symmetric keys are ignored: a published one would let everybody sign tokens. */
function keysOf(source: JwksSource): JWTVerifyGetKey {
  if ('url' in source) return createRemoteJWKSet(new URL(source.url), { timeoutDuration: 5000 })
  return createLocalJWKSet({ keys: source.keys.keys.filter((key) => key.kty !== 'oct') })
}

function algorithmOf(token: string): string | undefined {
  try {
    return decodeProtectedHeader(token).alg
  } catch {
    return undefined
  }
}

function identityOf(payload: JWTPayload, isOwn: boolean): Identity | undefined {
  const { sub, exp, iat } = payload
  if (!isId(sub) || exp === undefined) return undefined
  const claimed: unknown = payload['roles']
  const granted = Array.isArray(claimed) ? roles.filter((role) => claimed.includes(role)) : []
  const issuedAtMs = Math.floor((iat ?? 0) * 1000)
  return { subject: sub as SubjectId, roles: granted, expiresAtMs: exp * 1000, issuedAtMs, isOwn }
}

/** The fault that jose found, without any part of the token. */
function refusal(error: unknown): TokenCheck {
  if (error instanceof errors.JWTExpired) return refused('the token has expired')
  if (error instanceof errors.JWTClaimValidationFailed)
    return refused(`the token's ${error.claim} claim is missing or not accepted by this house`)
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey)
    return refused('the token is not signed with a key that this house trusts')
  if (
    error instanceof errors.JWKSTimeout ||
    (error instanceof errors.JOSEError && error.code === 'ERR_JOSE_GENERIC')
  )
    return { ok: false, message: 'the keys to check the token with could not be fetched', retry: true }
  if (error instanceof errors.JOSEError) return refused('the token is malformed')
  if (error instanceof TypeError && error.cause !== undefined)
    return { ok: false, message: 'the keys to check the token with could not be fetched', retry: true }
  return refused('the token is malformed')
}
