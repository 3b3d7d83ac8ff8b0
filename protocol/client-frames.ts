/**
 * The registry of client frames: one entry a type, its schema is its definition.
 * A new message is a new entry; the server answers frames by a table of `ClientFrameHandlers`, in which the missing
 * handler is then a compile error. Invariant: a `ClientFrame` has only checked fields; unknown fields are dropped,
 * unknown types refused. How bytes become values: `json.ts`, `msgpack.ts`. Source: docs/protocol.md, "WebSocket",
 * spec WIRE1 to WIRE9.
 */
import { z } from 'zod'
import { ageMs, amount, auctionId, bidKind, firstFault, integer, requestId } from './fields.ts'
import type { FrameErrorCode } from './frame-errors.ts'
import type { AuctionId, RequestId } from './ids.ts'
import { frameIdLengthMax } from './limits.ts'

/** Chosen by the client, repeated as `replyTo`: text of up to 128 UTF-16 units or a safe integer. */
export type FrameId = string | number

const frameIdError = `must be text of up to ${frameIdLengthMax} characters or an integer`
const frameId: z.ZodType<FrameId> = z.union([z.string().max(frameIdLengthMax), z.int()], {
  error: frameIdError,
})

export const clientFrames = {
  /** Watch an auction; with `since`, continue after that event where the house still can. */
  subscribe: z.object({
    type: z.literal('subscribe'),
    id: frameId,
    auctionId,
    since: z
      .object(
        {
          epoch: integer(0, Number.MAX_SAFE_INTEGER, ''),
          seq: integer(0, Number.MAX_SAFE_INTEGER, ''),
        },
        { error: 'must be {epoch, seq}' },
      )
      .exactOptional(),
  }),
  unsubscribe: z.object({ type: z.literal('unsubscribe'), id: frameId, auctionId }),
  /**
   * `kind` is `max` unless said otherwise. A retry carries the same `requestId` and counts once; its `ageMs` says how
   * long ago the first one was sent.
   */
  place_bid: z.object({
    type: z.literal('place_bid'),
    id: frameId,
    auctionId,
    amount,
    kind: bidKind.exactOptional(),
    requestId,
    ageMs: ageMs.exactOptional(),
  }),
  buy_now: z.object({
    type: z.literal('buy_now'),
    id: frameId,
    auctionId,
    requestId,
    ageMs: ageMs.exactOptional(),
  }),
  /** `t0` is the client's own clock, any finite number, repeated in the answer. */
  sync_time: z.object({
    type: z.literal('sync_time'),
    id: frameId,
    t0: z.number({ error: 'must be a number' }),
  }),
} as const

export type ClientFrameType = keyof typeof clientFrames
export type ClientFrameOf<Type extends ClientFrameType> = z.infer<(typeof clientFrames)[Type]>
export type ClientFrame = { [Type in ClientFrameType]: ClientFrameOf<Type> }[ClientFrameType]

/** One handler for each client frame: the table in which a missing one does not compile. */
export type ClientFrameHandlers<Session, Result> = {
  readonly [Type in ClientFrameType]: (session: Session, frame: ClientFrameOf<Type>) => Result
}

/** Why a frame was not taken; the facts say which request is answered, and how. */
export interface FrameRefused {
  readonly ok: false
  /** `amount_invalid` is answered by `bid_rejected` (then `bid` is there), all others by `error`. */
  readonly code: FrameErrorCode | 'amount_invalid'
  /** Which field, and what was due. */
  readonly message: string
  readonly replyTo?: FrameId
  readonly bid?: { readonly auctionId: AuctionId; readonly requestId: RequestId }
}

export type FrameRead = { readonly ok: true; readonly frame: ClientFrame } | FrameRefused

/** Whether a value is an object as JSON and msgpack have them (no array, no null). */
function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Makes a checked frame of a decoded value, or reports precisely what is wrong with it. Never throws. */
export function readClientFrame(value: unknown): FrameRead {
  if (!isRecord(value)) return { ok: false, code: 'not_an_object', message: 'a frame is an object' }
  const type = value['type']
  if (typeof type !== 'string' || !Object.hasOwn(clientFrames, type)) {
    const known = Object.keys(clientFrames).join(', ')
    return { ok: false, code: 'unknown_type', message: `type must be one of ${known}`, ...replyOf(value) }
  }
  const schema: z.ZodType<ClientFrame> = clientFrames[type as ClientFrameType]
  const hasNull = value['since'] === null || value['kind'] === null || value['ageMs'] === null
  const given = hasNull ? withoutNulls(value) : value
  const read = schema.safeParse(given)
  return read.success ? { ok: true, frame: read.data } : refusalOf(given, read.error)
}

/** A field that may be left out may be null as well: many a client's library writes it so. */
function withoutNulls(value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== null))
}

function replyOf(value: Readonly<Record<string, unknown>>): { readonly replyTo?: FrameId } {
  const id = frameId.safeParse(value['id'])
  return id.success ? { replyTo: id.data } : {}
}

function refusalOf(value: Readonly<Record<string, unknown>>, error: z.ZodError): FrameRefused {
  const { message } = firstFault(error)
  const isAmountAlone = error.issues.every((issue) => issue.path[0] === 'amount')
  if (!isAmountAlone || typeof value['amount'] !== 'number')
    return { ok: false, code: 'field_invalid', message, ...replyOf(value) }
  // Every other field passed, so these two are the ids that their schemas say.
  const bid = { auctionId: value['auctionId'] as AuctionId, requestId: value['requestId'] as RequestId }
  return { ok: false, code: 'amount_invalid', message, ...replyOf(value), bid }
}
