/**
 * Builds HTTP answers: JSON bodies, and problems (RFC 9457).
 *
 * Which answer applies is decided by the caller. Invariant: every answer made here is JSON of a stable shape; a
 * refusal for rate or availability says after how many seconds to try again. Source: docs/protocol.md, "Problems".
 */
import {
  type ProblemCode,
  type ProblemFacts,
  problem,
  problemContentType,
  problems,
} from '../../protocol/problems.ts'
import { statusOfRejection } from '../../protocol/rejection-codes.ts'
import { ClusterError, type Rejected } from '../../state-cluster/index.ts'
import type { HttpAnswer } from '../carrier/socket.ts'

const apiHeaders = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' }

export function jsonAnswer(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): HttpAnswer {
  return {
    status,
    headers: { 'Content-Type': 'application/json', ...apiHeaders, ...headers },
    body: JSON.stringify(body),
  }
}

/** A problem by its code. A 503 asks to retry after one second, unless `headers` say otherwise. */
export function problemAnswer(
  code: ProblemCode,
  facts: ProblemFacts = {},
  headers: Readonly<Record<string, string>> = {},
): HttpAnswer {
  const status = facts.status ?? problems[code].status
  return {
    status,
    headers: {
      'Content-Type': problemContentType,
      ...apiHeaders,
      ...(status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {}),
      ...(status === 503 ? { 'Retry-After': '1' } : {}),
      ...headers,
    },
    body: JSON.stringify(problem(code, facts)),
  }
}

export function rateAnswer(waitMs: number): HttpAnswer {
  return problemAnswer('rate_limited', {}, { 'Retry-After': String(Math.ceil(waitMs / 1000)) })
}

/** Of an `outcome_unknown` that stays so. */
export const forgotten =
  'so old a request is no longer remembered, and asking again does not help: the auction shows what counted'

/** What the machine's reply does not say, and the request and its auction do. */
interface RejectionContext {
  /** The status of a low bid depends on whether the auction has bids; that is assumed. */
  readonly bidCount?: number | undefined
  /** What was wrong with terms: field, and what it must be. */
  readonly detail?: string | undefined
}

/** A rejection of the machine as a problem. */
export function rejectionAnswer(
  reply: Rejected,
  { bidCount = 1, detail }: RejectionContext = {},
): HttpAnswer {
  if (reply.code === 'outcome_unknown') return problemAnswer(reply.code, { status: 409, detail: forgotten })
  return problemAnswer(reply.code, {
    status: statusOfRejection(reply.code, bidCount),
    ...(detail === undefined || reply.code !== 'terms_invalid' ? {} : { detail }),
    ...(reply.askingBid === undefined ? {} : { askingBid: reply.askingBid }),
    ...(reply.closesAt === undefined ? {} : { closesAt: reply.closesAt }),
  })
}

/** The code for a failure of the cluster link; `undefined` for any other error. */
export function clusterFault(
  error: unknown,
): 'unavailable' | 'outcome_unknown' | 'overloaded' | 'draining' | undefined {
  if (!(error instanceof ClusterError)) return undefined
  switch (error.code) {
    case 'unavailable':
      return 'unavailable'
    case 'unknown':
      return 'outcome_unknown'
    case 'overloaded':
      return 'overloaded'
    case 'stopped':
      return 'draining'
  }
}
