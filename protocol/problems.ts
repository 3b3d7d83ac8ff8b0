/**
 * Every problem that HTTP answers with, by its stable code (RFC 9457, `application/problem+json`). Invariant:
 * each rejection of the house is a problem of the same code; `docs/codes.md` lists them all (a test compares).
 * The server decides which request gets which problem. Source: docs/protocol.md, "HTTP"; RFC 9457 §3.
 */
import type { Amount } from './money.ts'
import { type RejectionCode, rejections } from './rejection-codes.ts'

export interface ProblemMeaning {
  readonly status: number
  /** One sentence for people, without a full stop. */
  readonly title: string
}

const edgeProblems = {
  malformed_json: { status: 400, title: 'The body is not JSON' },
  not_an_object: { status: 400, title: 'The body is not an object' },
  too_deep: { status: 400, title: 'Arrays and objects are nested too deep' },
  field_invalid: { status: 400, title: 'A field or parameter is missing or not of its kind' },
  request_malformed: { status: 400, title: 'The bytes are not an HTTP request' },
  token_missing: { status: 401, title: 'This takes a token' },
  token_invalid: { status: 401, title: 'The token is not valid, or no longer' },
  role_missing: { status: 403, title: 'The token does not have the role that this takes' },
  registration_closed: { status: 403, title: 'The house does not take new buyers' },
  not_found: { status: 404, title: 'There is nothing at this path' },
  method_not_allowed: { status: 405, title: 'This path does not take this method' },
  request_timeout: { status: 408, title: 'The request took too long to arrive' },
  body_too_large: { status: 413, title: 'The body is larger than allowed' },
  unsupported_media_type: { status: 415, title: 'The body must be application/json' },
  upgrade_required: { status: 426, title: 'This path takes WebSockets' },
  rate_limited: { status: 429, title: 'Too many requests; slow down' },
  headers_too_large: { status: 431, title: 'The headers are larger than allowed' },
  internal: { status: 500, title: 'The server failed at this request' },
  unavailable: { status: 503, title: 'No leader is reachable; nothing was decided' },
  overloaded: { status: 503, title: 'The house is overloaded; nothing was decided' },
  draining: { status: 503, title: 'This server is stopping' },
  version_unsupported: { status: 505, title: 'The request is of an HTTP version that is not spoken here' },
} as const satisfies Readonly<Record<string, ProblemMeaning>>

export const problems = { ...rejections, ...edgeProblems } as const

export type ProblemCode = keyof typeof edgeProblems | RejectionCode

/** The body of a problem; `type` is a relative reference into the catalogue of codes. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: ProblemCode
  /** What was wrong this time: which field, what was due. */
  readonly detail?: string
  /** For a bid that was refused: what would have been enough. */
  readonly askingBid?: Amount
  readonly closesAt?: number
}

/** Facts that go into a problem beside its code. */
export interface ProblemFacts {
  /** Instead of the code's own status, where it has two (a bid below the opening bid). */
  readonly status?: number
  readonly detail?: string
  readonly askingBid?: Amount
  readonly closesAt?: number
}

export const problemContentType = 'application/problem+json'

/** Makes the body of a problem. */
export function problem(code: ProblemCode, facts: ProblemFacts = {}): Problem {
  const { status, title } = problems[code]
  return { type: `/problems/${code}`, title, status, code, ...facts }
}
