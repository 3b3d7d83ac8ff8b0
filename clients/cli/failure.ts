/**
 * The failures of a run, as exit codes and as one line for people.
 * Invariant: 1 means that the house refused, 2 that the command was wrong, 3 that the house could not be reached.
 * Every line says what was wrong and, where something can be done, what. Source: docs/protocol.md, "Command line".
 */
import type { ProblemCode } from '../../protocol/problems.ts'
import type { RejectionCode } from '../../protocol/rejection-codes.ts'
import { ClientError, ProblemError } from '../core/index.ts'

export const exitCodes = { done: 0, refused: 1, usage: 2, unreachable: 3 } as const
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

export interface FailureFacts {
  /** Code of the protocol, where there is one. */
  readonly code?: string
  readonly askingBid?: number
  readonly closesAt?: number
}

/** Ends the run with an exit code other than 0. */
export class CliFailure extends Error {
  readonly exitCode: ExitCode
  readonly facts: FailureFacts
  constructor(exitCode: ExitCode, message: string, facts: FailureFacts = {}) {
    super(message)
    this.name = 'CliFailure'
    this.exitCode = exitCode
    this.facts = facts
  }
}

export function usageFailure(message: string): CliFailure {
  return new CliFailure(exitCodes.usage, message)
}

/** What to do about a code, where its title does not say it. */
const advice: Readonly<Partial<Record<ProblemCode | RejectionCode, string>>> = {
  auction_not_found: 'see which there are: martillo auction list',
  token_missing: 'give --token, or --data with the folder of the house',
  token_invalid: 'get a new one: martillo buyer add, or martillo token',
  role_missing: 'get a token with that role: martillo token --role ROLE --subject NAME',
  not_the_seller: 'use the token of the seller, or --data with the folder of the house',
  not_a_bidder: 'get a token of a bidder: martillo buyer add --name NAME',
  registration_closed: 'use the token of the operator: --data with the folder of the house',
  rate_limited: 'wait a moment and try again',
}

function withAdvice(message: string, code: string): string {
  const text = (advice as Readonly<Record<string, string | undefined>>)[code]
  return text === undefined ? message : `${message} (${text})`
}

function ofProblem({ problem }: ProblemError): CliFailure {
  const { status, code, title, detail, askingBid, closesAt } = problem
  const facts = {
    code,
    ...(askingBid === undefined ? {} : { askingBid }),
    ...(closesAt === undefined ? {} : { closesAt }),
  }
  const text = detail === undefined ? title : `${title}: ${detail}`
  if (status >= 500) return new CliFailure(exitCodes.unreachable, `the house cannot answer: ${text}`, facts)
  if (status === 400) return new CliFailure(exitCodes.usage, withAdvice(text, code), facts)
  return new CliFailure(exitCodes.refused, withAdvice(`refused: ${text}`, code), facts)
}

function ofClientError(error: ClientError): CliFailure {
  switch (error.code) {
    case 'unreachable':
      return new CliFailure(
        exitCodes.unreachable,
        `${error.message} (start a house: martillo start; or name another: --url)`,
        { code: 'unreachable' },
      )
    case 'outcome_unknown':
    case 'unexpected_answer':
      return new CliFailure(exitCodes.unreachable, error.message, { code: error.code })
    case 'closed':
    case 'too_many_pending':
    case 'frame_refused':
      return new CliFailure(exitCodes.refused, `refused: ${error.message}`, {
        code: error.frameCode ?? error.code,
      })
  }
}

/** The failure that an error means, or `undefined` for one that nobody foresaw. */
export function failureOf(error: unknown): CliFailure | undefined {
  if (error instanceof CliFailure) return error
  if (error instanceof ProblemError) return ofProblem(error)
  if (error instanceof ClientError) return ofClientError(error)
  return undefined
}
