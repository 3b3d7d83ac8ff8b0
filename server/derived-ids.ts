/**
 * Derives ids from requests, so that a retry names the same things.
 *
 * Any server derives the same ids. Invariant: the same subject and request id give the same auction or buyer id, and
 * no subject can choose the id of another's. Source: docs/protocol.md, "HTTP".
 */
import { createHash, randomBytes } from 'node:crypto'
import { type AuctionId, isRequestId, type RequestId, type SubjectId } from '../protocol/ids.ts'

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'
const derivedLength = 20
/** Shorter keys of clients without a token can be guessed, or used by two clients. */
const unguessableLengthMin = 16

/** 100 bits of SHA-256 over the parts, in lower-case base32. */
function derive(...parts: readonly string[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(`${part.length}:${part}`)
  const bytes = hash.digest()
  let text = ''
  let bits = 0
  let held = 0
  for (const byte of bytes) {
    held = (held << 8) | byte
    bits += 8
    while (bits >= 5 && text.length < derivedLength) {
      bits -= 5
      text += alphabet[(held >> bits) & 31]
    }
    held &= 31
  }
  return text
}

export function auctionIdOf(subject: SubjectId, requestId: RequestId): AuctionId {
  return derive('auction', subject, requestId) as AuctionId
}

export function buyerIdOf(subject: SubjectId, requestId: RequestId): SubjectId {
  return derive('buyer', subject, requestId) as SubjectId
}

/**
 * The subject of a client that registers without a token. An unguessable key identifies it alone, so that a retry from
 * another network is the same request; a short key counts only together with the client's address.
 */
export function strangerOf(requestId: RequestId, address: string): SubjectId {
  const scope = requestId.length < unguessableLengthMin ? address : ''
  return `stranger:${derive('stranger', requestId, scope)}` as SubjectId
}

/** A request id for a request without one: a retry of it is a new request. */
export function newRequestId(): RequestId {
  return randomBytes(16).toString('hex') as RequestId
}

/**
 * The request id of an `Idempotency-Key` header: up to 255 visible characters, with or without quotes. A key too long
 * for a request id is hashed. `undefined`: the key is invalid.
 */
export function requestIdOf(header: string): RequestId | undefined {
  const key = /^"(.*)"$/.exec(header)?.[1] ?? header
  if (isRequestId(key)) return key as RequestId
  return /^[\x20-\x7e]{1,255}$/.test(key) ? (`key:${derive('key', key)}` as RequestId) : undefined
}
