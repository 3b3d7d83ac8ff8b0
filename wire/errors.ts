/**
 * What goes wrong between processes, as errors with stable codes. Invariant: a connection that has had one of
 * these is closed; nothing of it is skipped or read on. The owner of the connection decides about the next one.
 * Source: docs/style.md, "Errors", 2.
 */
import { InvariantError } from '../runtime/assert.ts'

export type TransportErrorCode =
  /** No process answers at the address. */
  | 'connect_failed'
  /** The other side closed, or the socket broke. */
  | 'closed'
  /** Closed before the other side's hello: it may want TLS, or another certificate. */
  | 'not_greeted'
  /** TLS: one side does not accept what the other shows. */
  | 'untrusted'
  /** Its handshake had not ended, and newer connections needed its place. */
  | 'displaced'
  /** Nobody may listen there without TLS or a cluster secret. */
  | 'unprotected'
  /** Nothing arrived for several heartbeats: the peer hangs, or the network is cut. */
  | 'silent'
  /** A checksum does not match. */
  | 'corrupt_frame'
  /** A frame claims more bytes than may be. */
  | 'frame_too_large'
  /** Well framed, but not what this protocol says. */
  | 'malformed'
  /** One side refused the other: wrong cluster, version, settings or node. */
  | 'refused'
  /** A snapshot was given up, by either side. */
  | 'snapshot_aborted'
  /** This side is closing. */
  | 'stopped'
  /** This side has a fault of its own in answering; its `cause` is what was thrown. */
  | 'answer_failed'

/** Codes after which the same attempt, made later, may work. */
const retryableCodes: ReadonlySet<TransportErrorCode> = new Set([
  'connect_failed',
  'closed',
  'not_greeted',
  'untrusted',
  'silent',
  'displaced',
  'corrupt_frame',
  'snapshot_aborted',
])

export class TransportError extends Error {
  override readonly name = 'TransportError'
  readonly code: TransportErrorCode
  readonly retryable: boolean
  /** Of `refused`, where the other side did it: its code, as it came. */
  readonly theirRefusal: string | undefined

  constructor(
    code: TransportErrorCode,
    message: string,
    options?: ErrorOptions & { readonly theirRefusal?: string },
  ) {
    super(message, options)
    this.code = code
    this.theirRefusal = options?.theirRefusal
    this.retryable = retryableCodes.has(code)
  }
}

/**
 * What was thrown as a TransportError: itself, or the cause of one with the given code. A broken invariant is
 * thrown on: no caller may handle it.
 */
export function toTransportError(thrown: unknown, code: TransportErrorCode): TransportError {
  if (thrown instanceof InvariantError) throw thrown
  if (thrown instanceof TransportError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new TransportError(code, message, { cause: thrown })
}
