/**
 * The cluster secret, and the proofs of it that both sides of a handshake give.
 *
 *     proof = HMAC-SHA256(secret, label ‖ 0 ‖ length ‖ dialler's greeting ‖ length ‖ acceptor's greeting ‖ hello)
 *
 * The greetings hold fresh random bytes of both sides and the versions, so a recorded proof is worth nothing; the label
 * names who proves what, so a proof cannot be sent back. Left to others: when each is sent (greeting.ts).
 * Invariant: the secret itself never travels, and proofs are compared in constant time. Source: RFC 2104; docs/spec.md
 * PEER18, PEER19.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/** At least `secretBytesMin` bytes. */
export type ClusterSecret = Uint8Array & { readonly brand?: 'ClusterSecret' }

export const secretBytesMin = 32
export const secretsMax = 2
export const nonceBytes = 32
export const proofBytes = 32

/** Who proves what. A proof of one kind is never good as another. */
export type ProofLabel = 'dialler proof' | 'acceptor hello' | 'dialler hello'

/** The first frames of both sides, as they travelled. */
export interface Greetings {
  readonly dialler: Uint8Array
  readonly acceptor: Uint8Array
}

/** A new secret as text: 256 random bits. */
export function newSecretText(): string {
  return randomBytes(secretBytesMin).toString('base64url')
}

/**
 * One or two secrets, separated by commas or line ends: the first is used, both are accepted. Throws a RangeError
 * that says what is wrong and repeats nothing of the text.
 */
export function parseSecrets(text: string): readonly ClusterSecret[] {
  const words = text
    .split(/[,\r\n]/)
    .map((word) => word.trim())
    .filter((word) => word !== '')
  if (words.length === 0) throw new RangeError('is empty')
  if (words.length > secretsMax) {
    throw new RangeError(
      `has ${words.length} secrets; there may be ${secretsMax}: the one in use, and another`,
    )
  }
  const secrets = words.map((word) => Buffer.from(word, 'utf8'))
  const short = secrets.find((secret) => secret.length < secretBytesMin)
  if (short !== undefined) {
    throw new RangeError(
      `has a secret of ${short.length} bytes: ${secretBytesMin} at least; \`martillo cluster-secret\` makes one`,
    )
  }
  return secrets
}

export function proofOf(
  secret: ClusterSecret,
  label: ProofLabel,
  greetings: Greetings,
  hello: Uint8Array = new Uint8Array(),
): Uint8Array {
  const hmac = createHmac('sha256', secret).update(`martillo cluster ${label}\0`)
  for (const greeting of [greetings.dialler, greetings.acceptor]) {
    const length = Buffer.allocUnsafe(4)
    length.writeUInt32BE(greeting.length)
    hmac.update(length).update(greeting)
  }
  return hmac.update(hello).digest()
}

export function isProof(shown: Uint8Array, expected: Uint8Array): boolean {
  return shown.length === expected.length && timingSafeEqual(shown, expected)
}

/** A token for people and tools, made from the secret, which it does not give away. `purpose`: what it opens. */
export function tokenOfSecret(secret: ClusterSecret, purpose: string): string {
  return createHmac('sha256', secret).update(`martillo token ${purpose}\0`).digest('base64url')
}
