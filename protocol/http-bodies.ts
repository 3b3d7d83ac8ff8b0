/**
 * The registry of HTTP request bodies and the shapes of their answers. Invariant: a body that was read has only
 * checked fields, in the contract's own words: aliases (`basePrice`, `price`, `duration` in minutes) and nulls
 * are gone. Paths, methods and roles are in the server's table of routes.
 * Source: docs/protocol.md, "HTTP", spec WIRE20+.
 */
import { z } from 'zod'
import type { AuctionStatus, AuctionView, ReserveStatus } from './auction-view.ts'
import {
  amount,
  auctionId,
  type BidKind,
  bidKind,
  currency,
  durationMs,
  firstFault,
  increments,
  instantMs,
  integer,
  line,
  softClose,
  subjectId,
  tags,
  timestampMs,
} from './fields.ts'
import type { RequestId, SubjectId } from './ids.ts'
import { readJson } from './json.ts'
import * as limits from './limits.ts'
import type { Amount, IncrementsByCurrency } from './money.ts'
import type { ProblemCode } from './problems.ts'
import { type Role, roles } from './server-frames.ts'

const endpointError = `must be an http or https address of up to ${limits.endpointLengthMax} characters`
const endpoint = z
  .string({ error: endpointError })
  .max(limits.endpointLengthMax, { error: endpointError })
  .regex(/^https?:\/\/[^\s/?#@]+(?:[/?][^\s#]*)?$/i, { error: endpointError })

const houseMs = z.number({ error: 'must be a number of milliseconds' }).exactOptional()

/** The state in which a request is meant; in any other it is refused (`state_changed`). */
const expect = z
  .object(
    {
      seq: integer(0, Number.MAX_SAFE_INTEGER, '').exactOptional(),
      closesAt: instantMs.exactOptional(),
    },
    { error: 'must be {seq?, closesAt?}' },
  )
  .exactOptional()

const itemError = `must be JSON of at most ${limits.itemLengthMax} characters`

export const httpBodies = {
  /** POST /buyers */
  registerBuyer: z.object({
    name: line(limits.nameLengthMax),
    interests: tags(limits.interestsMax).default([]),
    /** Webhook for notifications. */
    endpoint: endpoint.exactOptional(),
  }),
  /** POST /auctions */
  createAuction: z.object({
    title: line(limits.titleLengthMax),
    tags: tags(limits.tagsPerAuctionMax).default([]),
    openingBid: amount,
    currency: currency.exactOptional(),
    durationMs,
    opensAt: timestampMs.exactOptional(),
    reserve: amount.exactOptional(),
    buyNow: amount.exactOptional(),
    increments: increments.exactOptional(),
    softClose: softClose.exactOptional(),
    /** Name of a format that the house knows; `english` unless said otherwise. */
    format: line(40).exactOptional(),
    item: z
      .json()
      .refine((item) => JSON.stringify(item).length <= limits.itemLengthMax, { error: itemError })
      .exactOptional(),
  }),
  /** POST /bids */
  placeBid: z.object({ auctionId, amount, kind: bidKind.exactOptional() }),
  /** POST /auctions/:id/buy-now */
  buyNow: z.object({}),
  /** POST /auctions/:id/close, /cancel, /pause, /resume */
  manageAuction: z.object({ expect }),
  /** POST /auctions/:id/extend */
  extendAuction: z.object({ byMs: durationMs, expect }),
  /** POST /house. The house refuses values out of range; fields not named stay. */
  configureHouse: z.object({
    outageExtensionMinMs: houseMs,
    outageThresholdMs: houseMs,
    /** Tables by currency, for auctions that bring none; null goes back to the default. Others stay. */
    increments: z
      .record(currency, increments.nullable(), {
        error: 'must be {currency: table or null}, by three capital letters each',
      })
      .exactOptional(),
    /** Switches on all that the house knows. */
    features: z.literal([true, 'all'], { error: 'must be true or "all"' }).exactOptional(),
  }),
  /** POST /house/clock: the time that the house is to have (epoch ms). */
  shiftClock: z.object({ to: integer(1, 4_000_000_000_000_000, 'ms') }),
  /** POST /tokens */
  issueToken: z.object({
    subject: subjectId,
    roles: z
      .array(z.enum(roles, { error: `must be one of ${roles.join(', ')}` }), {
        error: 'must be an array of roles',
      })
      .min(1, { error: 'must name at least one role' })
      .max(roles.length, { error: `must name at most ${roles.length} roles` }),
    ttlSeconds: integer(1, limits.tokenTtlSecondsMax, 'seconds').exactOptional(),
  }),
  /** POST /tokens/renew */
  renewToken: z.object({}),
  /** POST /tokens/revoke: of one subject, or of everybody; those issued until `issuedUntil` (epoch ms), or until now. */
  revokeTokens: z.object({
    subject: subjectId.exactOptional(),
    issuedUntil: integer(0, limits.timestampMsMax, 'milliseconds').exactOptional(),
  }),
} as const

export type HttpBodyName = keyof typeof httpBodies
export type HttpBodyOf<Name extends HttpBodyName> = z.output<(typeof httpBodies)[Name]>

/** What a client sends: defaults may be left out. */
export type HttpRequestOf<Name extends HttpBodyName> = z.input<(typeof httpBodies)[Name]>

export type HttpBodyRead<Name extends HttpBodyName> =
  | { readonly ok: true; readonly body: HttpBodyOf<Name> }
  | { readonly ok: false; readonly code: ProblemCode; readonly message: string }

/** Of each body: other words, our words for them, and how many of our units one of the other is. */
const aliasesOf: {
  readonly [Name in HttpBodyName]?: Readonly<Record<string, readonly [field: string, scale: number]>>
} = {
  createAuction: { basePrice: ['openingBid', 1], duration: ['durationMs', 60_000] },
  placeBid: { price: ['amount', 1] },
  // The contract does not name this field, so what it calls a time elsewhere will do.
  extendAuction: { durationMs: ['byMs', 1], extensionMs: ['byMs', 1], duration: ['byMs', 60_000] },
}

/** Fields whose null is a value; of all others it says that there is none, as many a client's library writes it. */
const nullable: readonly string[] = ['item']

type Fields = Readonly<Record<string, unknown>>

function withoutNulls(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).filter(([name, value]) => value !== null || nullable.includes(name)),
  )
}

/** What decimals lose in binary (4.35 minutes are 260,999.999… ms) is made good; a real fraction stays one. */
function scaled(value: number, scale: number): number {
  const exact = value * scale
  const whole = Math.round(exact)
  return Math.abs(exact - whole) <= 4 * Number.EPSILON * exact ? whole : exact
}

/** The body with the contract's words, or a clash: an alias next to its own word must say the same. */
function withoutAliases(name: HttpBodyName, body: Fields): { fields: Fields; clash?: string } {
  let fields = body
  for (const [alias, [field, scale]] of Object.entries(aliasesOf[name] ?? {})) {
    const given = body[alias]
    if (given === undefined) continue
    const value = typeof given === 'number' ? scaled(given, scale) : given
    if (fields[field] !== undefined && fields[field] !== value)
      return { fields, clash: `${alias} and ${field} say different things; send one` }
    fields = { ...fields, [field]: value }
  }
  return { fields }
}

/**
 * Reads a request body (JSON text; an empty one counts as `{}`) into its checked shape, or says precisely what
 * is wrong with it. Never throws. The caller has held it to `bodyBytesMax` already.
 */
export function readHttpBody<Name extends HttpBodyName>(name: Name, text: string): HttpBodyRead<Name> {
  const parsed = readJson(text.trim() === '' ? '{}' : text)
  if (!parsed.ok) return { ok: false, code: parsed.code, message: parsed.message }
  const { value } = parsed
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { ok: false, code: 'not_an_object', message: 'the body is an object' }
  const { fields, clash } = withoutAliases(name, withoutNulls(value as Fields))
  if (clash !== undefined) return { ok: false, code: 'field_invalid', message: clash }
  const schema = httpBodies[name] as unknown as z.ZodType<HttpBodyOf<Name>>
  const read = schema.safeParse(fields)
  if (read.success) return { ok: true, body: read.data }
  const { field, message } = firstFault(read.error)
  const isAmountAlone = field === 'amount' && typeof fields['amount'] === 'number'
  return { ok: false, code: isAmountAlone ? 'amount_invalid' : 'field_invalid', message }
}

/** 201 of POST /buyers: the token carries the role of a bidder. */
export interface BuyerRegisteredBody {
  readonly id: SubjectId
  readonly name: string
  readonly interests: readonly string[]
  readonly endpoint?: string
  readonly token: string
  /** Where an endpoint was given: what its notifications are signed with (Standard Webhooks, `whsec_…`). */
  readonly webhookSecret?: string
}

/** 201 of POST /tokens. `expiresAt` in epoch ms. */
/** 200 of POST /tokens/revoke. */
export interface TokensRevokedBody {
  /** Absent: of everybody. */
  readonly subject?: SubjectId
  readonly revoked: true
}

/** 201 of POST /tokens and POST /tokens/renew. */
export interface TokenIssuedBody {
  readonly token: string
  readonly subject: SubjectId
  readonly roles: readonly Role[]
  readonly expiresAt: number
}

export interface HouseSettings {
  /** What an auction that an outage hit is extended by, at least. */
  readonly outageExtensionMinMs: number
  /** A silence of a server longer than this is an outage. */
  readonly outageThresholdMs: number
  /** Tables by currency, for auctions that bring none; absent where there is none. */
  readonly increments?: IncrementsByCurrency
}

/** What one group of the house has. */
export interface HouseGroup {
  readonly group: number
  readonly settings: HouseSettings
  readonly features: readonly string[]
}

/** 200 of GET and POST /house. */
export interface HouseBody {
  /** Those of the first group. */
  readonly settings: HouseSettings
  /** On in every group. */
  readonly features: readonly string[]
  /** Known to this version, and off in some group. */
  readonly featuresOff: readonly string[]
  /** Only where groups differ: all of them. The same POST /house again brings them together. */
  readonly groups?: readonly HouseGroup[]
}

/** 200 of GET /auctions. */
export interface AuctionsBody {
  readonly auctions: readonly AuctionView[]
  /** Give it as `after` to get the next page; absent at the end. */
  readonly next?: string
}

/** One accepted bid of the public history; `you` only in answers to the bidder who made it. */
export interface BidEntry {
  readonly seq: number
  readonly epoch: number
  readonly serverTime: number
  /** Alias of who bid. */
  readonly bidder: string
  readonly price: Amount
  readonly askingBid: Amount
  readonly bidCount: number
  /** Alias of who led after it. */
  readonly highBidder: string
  readonly reserve: ReserveStatus
  readonly you?: { readonly amount: Amount; readonly kind: BidKind; readonly requestId: RequestId }
}

/** 200 of GET /auctions/:id/bids, in order of `seq`. */
export interface BidsBody {
  readonly bids: readonly BidEntry[]
  /** Give it as `after` to get the next page; absent at the end. */
  readonly next?: number
}

/** Parameters of GET /auctions. */
export interface AuctionsQuery {
  readonly status?: AuctionStatus
  readonly tag?: string
  readonly after?: string
  readonly limit?: number
}
