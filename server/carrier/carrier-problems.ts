/**
 * Answers that a carrier gives by itself, as problem documents.
 *
 * Invariant: an answer given before any route is known has the shape and the headers of every other problem, and
 * ends the connection. Source: docs/protocol.md, "Problems"; RFC 9457.
 */
import { type ProblemCode, problem, problemContentType, problems } from '../../protocol/problems.ts'
import type { HttpAnswer } from './socket.ts'

const codeOf = {
  400: 'request_malformed',
  408: 'request_timeout',
  413: 'body_too_large',
  431: 'headers_too_large',
  500: 'internal',
  505: 'version_unsupported',
} as const satisfies Readonly<Record<number, ProblemCode>>

export function carrierProblem(status: keyof typeof codeOf): HttpAnswer {
  const code = codeOf[status]
  return {
    status: problems[code].status,
    headers: {
      'Content-Type': problemContentType,
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
    },
    body: JSON.stringify(problem(code)),
    isLast: true,
  }
}

export const internalProblem = carrierProblem(500)

/** The answer to an error of Node's HTTP parser, by its code. */
export function problemOfParser(code: string): HttpAnswer {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return carrierProblem(431)
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return carrierProblem(408)
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return carrierProblem(413)
    case 'HPE_INVALID_VERSION':
      return carrierProblem(505)
    default:
      return carrierProblem(400)
  }
}
