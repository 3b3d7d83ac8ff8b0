/**
 * The kinds of fields in frames and bodies, as zod schemas.
 * Invariant: a field that passes is within `limits.ts`; a message says what was expected and never repeats the input.
 * The registries say which fields a frame or body has. Source: docs/protocol.md, "Values".
 */
import { z } from 'zod'
import { type AuctionId, idLengthMax, isId, isRequestId, type RequestId, type SubjectId } from './ids.ts'
import * as limits from './limits.ts'
import {
  type Amount,
  amountMax,
  type IncrementTable,
  incrementBandsMax,
  incrementTableFault,
} from './money.ts'

/** An integer from `min` to `max` (−0 comes out as 0); fractions, non-numbers and all beyond 2^53−1 are refused. */
export function integer(min: number, max: number, unit: string) {
  const error = `must be an integer from ${min} to ${max}${unit === '' ? '' : ` (${unit})`}`
  return z
    .int({ error })
    .min(min, { error })
    .max(max, { error })
    .overwrite((value) => value + 0)
}

/** Text of 1 to `lengthMax` UTF-16 units without control characters, trimmed. */
export function line(lengthMax: number) {
  const error = `must be text of 1 to ${lengthMax} characters without control characters`
  return z
    .string({ error })
    .trim()
    .min(1, { error })
    .max(lengthMax, { error })
    .refine((text) => !/[\p{Cc}\p{Cs}]/u.test(text), { error })
}

const idError = `must be an id: 1 to ${idLengthMax} characters of A-Z a-z 0-9 . _ : @ -`

function id<Kind extends string>() {
  return z.custom<Kind>(isId, { error: idError })
}

export const auctionId = id<AuctionId>()
export const subjectId = id<SubjectId>()
export const requestId = z.custom<RequestId>(isRequestId, {
  error: `must be text of 1 to ${idLengthMax} printable characters of ASCII`,
})

/** Minor units, 0 to 2^53−1. */
export const amount: z.ZodType<Amount, Amount> = integer(0, amountMax, 'minor units')
/** Epoch milliseconds of the years 2000 to 9999: another unit is not taken for them. */
export const timestampMs = integer(
  limits.timestampMsMin,
  limits.timestampMsMax,
  'epoch milliseconds of the years 2000 to 9999, not seconds',
)
/** Any time that the house says, in epoch ms: an extended deadline may lie beyond what can be asked for. */
export const instantMs = integer(0, 8_640_000_000_000_000, 'epoch milliseconds')
/** How long ago a request was first sent, by the sender's monotonic clock. */
export const ageMs = integer(0, Number.MAX_SAFE_INTEGER, 'milliseconds')
export const durationMs = integer(1, limits.durationMsMax, 'milliseconds')

export const bidKind = z.enum(['max', 'exact'], { error: 'must be "max" or "exact"' })
export type BidKind = z.infer<typeof bidKind>

export const currency = z
  .string({ error: 'must be three capital letters (ISO 4217)' })
  .regex(/^[A-Z]{3}$/, { error: 'must be three capital letters (ISO 4217)' })

/** Tags come out lower-case, in Unicode normal form C, each once, in the order in which they were given. */
export function tags(max: number) {
  // Lower case can be longer than what it was made of (İ), so the length is judged once more.
  const tag = line(limits.tagLengthMax)
    .transform((text) => text.normalize('NFC').toLowerCase())
    .refine((text) => text.length <= limits.tagLengthMax, {
      error: `must be text of 1 to ${limits.tagLengthMax} characters, in lower case too`,
    })
  return z
    .array(tag, { error: 'must be an array of tags' })
    .max(max, { error: `must have at most ${max} tags` })
    .transform((list) => [...new Set(list)])
}

export const increments: z.ZodType<IncrementTable, IncrementTable> = z
  .array(z.object({ from: amount, step: integer(1, amountMax, 'minor units') }), {
    error: 'must be an array of {from, step}',
  })
  .max(incrementBandsMax, { error: `must have at most ${incrementBandsMax} bands` })
  .superRefine((table, context) => {
    const fault = incrementTableFault(table)
    if (fault !== undefined)
      context.addIssue({ code: 'custom', message: `must be an increment table: ${fault}` })
  })

export const softClose = z.object(
  {
    windowMs: integer(1, limits.softCloseMsMax, 'milliseconds'),
    extensionMs: integer(1, limits.softCloseMsMax, 'milliseconds'),
    limit: integer(1, limits.softCloseLimitMax, 'extensions').exactOptional(),
  },
  { error: 'must be {windowMs, extensionMs, limit?}' },
)
export type SoftClose = z.infer<typeof softClose>

/** A fault of a value against a schema: which field, and what was due. */
export interface FieldFault {
  /** Dotted path, as `since.seq` or `increments.0.step`; empty for the whole. */
  readonly field: string
  /** As `amount must be an integer from 0 to …`. */
  readonly message: string
}

/** The first fault that zod found, in words. */
export function firstFault(error: z.ZodError): FieldFault {
  const issue = error.issues[0]
  if (issue === undefined) return { field: '', message: 'is not valid' }
  const field = issue.path.map(String).join('.')
  return { field, message: field === '' ? issue.message : `${field} ${issue.message}` }
}
