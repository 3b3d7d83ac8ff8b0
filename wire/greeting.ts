/**
 * One side of the handshake, until both sides know and accept each other.
 *
 *     dialler                          acceptor
 *        greeting ──►       ◄── greeting          at once: magic, versions, random bytes, whether there is a secret
 *        proof ──►                                of the secret
 *                        ◄── hello with its proof once the dialler's proof holds
 *        hello with its proof ──►                 once the acceptor's proof holds
 *
 * Without a secret the same frames travel and the proofs are empty. Left to others: deadlines, frames, the end
 * (connection.ts). Invariant: a side that has a secret says nothing of itself before the other side has proved it.
 * Source: docs/spec.md PEER1, PEER2, PEER18, PEER20.
 */
import { judgeCertificate } from './certificate.ts'
import {
  decodeGreeting,
  decodeHello,
  encodeGreeting,
  encodeHello,
  type GreetingBody,
  type Hello,
  type Refusal,
} from './handshake.ts'
import { type FrameKind, frameKinds } from './kinds.ts'
import { type ClusterSecret, type Greetings, isProof, type ProofLabel, proofBytes, proofOf } from './proof.ts'
import type { ByteStream } from './stream.ts'
import { Fields, malformed, packTuple, unpackTuple } from './tuples.ts'

export interface GreetingOptions {
  readonly stream: Pick<ByteStream, 'isDialled' | 'trust'>
  readonly hello: Hello
  readonly nonce: Uint8Array
  /** A reason to refuse the other side, or none. */
  readonly judge: (theirs: Hello) => Refusal | undefined
  readonly say: (kind: FrameKind, body: Uint8Array) => void
}

export type GreetingStep = { readonly refusal: Refusal } | { readonly theirs: Hello } | undefined

const noProof = new Uint8Array()

const unproved: Refusal = {
  code: 'wrong_secret',
  reason:
    'its proof of the cluster secret does not hold: do both sides have the same MARTILLO_CLUSTER_SECRET?',
}

export class Greeting {
  readonly #options: GreetingOptions
  readonly #own: Uint8Array
  /** Both, once the other side's is here. */
  #greetings: Greetings | undefined
  /** The one that both sides use. */
  #secret: ClusterSecret | undefined
  #isProved = false

  constructor(options: GreetingOptions) {
    this.#options = options
    const { trust } = options.stream
    this.#own = encodeGreeting(options.nonce, trust.secrets.length > 0)
    options.say(frameKinds.greeting, this.#own)
  }

  /** What the other side says now comes from one that may say it. */
  get isProved(): boolean {
    return this.#isProved
  }

  /** Undefined: the handshake goes on. Throws `malformed`. */
  receive(kind: number, body: Uint8Array): GreetingStep {
    if (this.#greetings === undefined) {
      if (kind !== frameKinds.greeting) throw malformed('no greeting at the beginning')
      return this.#greeted(decodeGreeting(body), body)
    }
    const { isDialled } = this.#options.stream
    if (!isDialled && !this.#isProved) {
      if (kind !== frameKinds.proof) throw malformed('no proof after the greeting')
      return this.#proved(body, this.#greetings)
    }
    if (kind !== frameKinds.hello) throw malformed('no hello in its place')
    return this.#introduced(body, this.#greetings)
  }

  #greeted(theirs: GreetingBody | Refusal, body: Uint8Array): GreetingStep {
    if ('code' in theirs) return { refusal: theirs }
    const { stream, say } = this.#options
    const { isDialled, trust } = stream
    const hasSecret = trust.secrets.length > 0
    if (theirs.hasSecret !== hasSecret) return { refusal: oneSided(hasSecret) }
    // The decoder's bytes may be a view of a larger chunk.
    const other = Uint8Array.from(body)
    this.#greetings = isDialled
      ? { dialler: this.#own, acceptor: other }
      : { dialler: other, acceptor: this.#own }
    if (!isDialled) return undefined
    this.#secret = trust.secrets[0]
    say(frameKinds.proof, this.#prove('dialler proof'))
    return undefined
  }

  /** The acceptor takes any of its secrets, and from then on the one that the dialler proved. */
  #proved(proof: Uint8Array, greetings: Greetings): GreetingStep {
    const { secrets } = this.#options.stream.trust
    if (secrets.length > 0) {
      const matching = secrets.filter((secret) => isProof(proof, proofOf(secret, 'dialler proof', greetings)))
      this.#secret = matching[0]
      if (this.#secret === undefined) return { refusal: unproved }
    } else if (proof.length > 0) throw malformed('a proof where there is no secret')
    this.#isProved = true
    this.#introduce('acceptor hello')
    return undefined
  }

  #introduced(body: Uint8Array, greetings: Greetings): GreetingStep {
    const { stream, judge } = this.#options
    const { isDialled, trust } = stream
    const fields = new Fields(unpackTuple(body), 'hello')
    const hello = fields.bytes(body.length)
    const proof = fields.bytes(proofBytes)
    fields.end()
    const label = isDialled ? 'acceptor hello' : 'dialler hello'
    const expected = this.#secret === undefined ? noProof : proofOf(this.#secret, label, greetings, hello)
    if (!isProof(proof, expected)) return { refusal: unproved }
    this.#isProved = true
    const theirs = decodeHello(hello)
    // It has proved the secret: it may know who refuses it.
    if (isDialled) this.#introduce('dialler hello')
    const refusal = judgeCertificate(theirs, trust.principals) ?? judge(theirs)
    return refusal === undefined ? { theirs } : { refusal }
  }

  #introduce(label: ProofLabel): void {
    const hello = encodeHello(this.#options.hello)
    this.#options.say(frameKinds.hello, packTuple([hello, this.#prove(label, hello)]))
  }

  #prove(label: ProofLabel, hello?: Uint8Array): Uint8Array {
    if (this.#secret === undefined || this.#greetings === undefined) return noProof
    return proofOf(this.#secret, label, this.#greetings, hello)
  }
}

function oneSided(hasSecret: boolean): Refusal {
  return {
    code: 'wrong_secret',
    reason: hasSecret
      ? 'it has no cluster secret: give it MARTILLO_CLUSTER_SECRET or MARTILLO_CLUSTER_SECRET_FILE'
      : 'it has a cluster secret, and the other side has none: give that one MARTILLO_CLUSTER_SECRET or MARTILLO_CLUSTER_SECRET_FILE',
  }
}
