/**
 * What can keep the house from answering a client, as errors with stable codes. Invariant: a lawful no to a bid
 * is never an error but an outcome (`BidOutcome`); over HTTP it is a `ProblemError`, which carries the code.
 */
import type { FrameErrorCode } from '../../protocol/frame-errors.ts'
import type { Problem } from '../../protocol/problems.ts'

export type ClientErrorCode =
  /** No connection could be made, or it was lost before an answer. */
  | 'unreachable'
  /** The session was closed, by its owner or permanently by the house. */
  | 'closed'
  /** It is not known whether the request counted: ask again with the same request id. */
  | 'outcome_unknown'
  /** Too many requests wait for an answer. */
  | 'too_many_pending'
  /** The answer is not what the protocol says: not a Martillo house, or a newer one. */
  | 'unexpected_answer'
  /** The house refused the frame itself; see `frameCode`. */
  | 'frame_refused'

export class ClientError extends Error {
  readonly code: ClientErrorCode
  readonly frameCode: FrameErrorCode | undefined
  constructor(
    code: ClientErrorCode,
    message: string,
    options?: ErrorOptions & { frameCode?: FrameErrorCode },
  ) {
    super(message, options)
    this.name = 'ClientError'
    this.code = code
    this.frameCode = options?.frameCode
  }
}

/** HTTP answered with a problem (RFC 9457). */
export class ProblemError extends Error {
  readonly problem: Problem
  constructor(problem: Problem) {
    super(problem.detail === undefined ? problem.title : `${problem.title}: ${problem.detail}`)
    this.name = 'ProblemError'
    this.problem = problem
  }
}
