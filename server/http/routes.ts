/**
 * The table of HTTP routes: path, roles, body, and handler.
 *
 * The rules of an auction are left to the machine, tokens and rates to http.ts. Invariant: the bidder, seller or buyer
 * is always the token's subject, never a field; ids of new things derive from subject and request id, so that a retry
 * gets the same thing. Source: docs/protocol.md, "HTTP".
 */
import { auctionStatuses } from '../../protocol/auction-view.ts'
import type {
  AuctionsBody,
  BidsBody,
  BuyerRegisteredBody,
  HttpBodyOf,
  TokenIssuedBody,
  TokensRevokedBody,
} from '../../protocol/http-bodies.ts'
import { type AuctionId, isId, type ServerId, type SubjectId } from '../../protocol/ids.ts'
import { pageBytesMax, pageLimitDefault, pageLimitMax, tagLengthMax } from '../../protocol/limits.ts'
import { defaultIncrements } from '../../protocol/money.ts'
import { roles } from '../../protocol/server-frames.ts'
import { assert } from '../../runtime/assert.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { Metrics } from '../../runtime/metrics.ts'
import type {
  AuctionQuery,
  AuctionTerms,
  AuctionView,
  BidPlaced,
  Cluster,
  Command,
  Expected,
  Reply,
} from '../../state-cluster/index.ts'
import { termsFault } from '../../state-cluster/index.ts'
import type { Admission } from '../access/admission.ts'
import { hasRole, type Identity, type Tokens } from '../access/auth.ts'
import type { HttpAnswer } from '../carrier/socket.ts'
import type { ServerConfig } from '../config.ts'
import { auctionIdOf, buyerIdOf, strangerOf } from '../derived-ids.ts'
import { bidEntry, wireStanding, wireView } from '../frames.ts'
import type { ServerMetrics } from '../metrics.ts'
import { jsonAnswer, problemAnswer, rateAnswer, rejectionAnswer } from './answers.ts'
import { configureHouse, shiftClock, showHouse } from './house-settings.ts'
import { type Call, get, post, type Route } from './http.ts'

export interface RouteContext {
  readonly config: ServerConfig
  readonly cluster: Cluster
  readonly clock: Clock
  readonly tokens: Tokens
  readonly admission: Admission
  readonly registry: Metrics
  readonly metrics: ServerMetrics
  readonly isDraining: () => boolean
  /** Puts in force what was just revoked. */
  readonly revoked: () => Promise<void>
  /** The secret that signs the notifications of a buyer. */
  readonly webhookSecretOf?: (buyerId: SubjectId) => string
  /** Informs the conductor of a deadline, which may be sooner than those it knows. */
  readonly dueAt: (auctionId: AuctionId, atMs: number) => void
}

export function routes(context: RouteContext): readonly Route[] {
  const { cluster, admission, registry } = context
  const alive = (): HttpAnswer => jsonAnswer(200, { status: 'up' })
  return [
    get('/up', alive, true),
    get('/livez', alive, true),
    // The carrier handles proper upgrades; only other requests get here.
    get('/ws', () => problemAnswer('upgrade_required', {}, { Upgrade: 'websocket' })),
    get('/readyz', () => readiness(context), true),
    get(
      '/metrics',
      async (call) => {
        if (!admission.isFromOperator(call.request, call.identity)) return problemAnswer('role_missing')
        const headers = { 'Content-Type': registry.contentType, 'Cache-Control': 'no-store' }
        return { status: 200, headers, body: await registry.text() }
      },
      true,
    ),

    post('/buyers', 'registerBuyer', undefined, (call, body) => registerBuyer(context, call, body)),
    post('/tokens', 'issueToken', ['operator'], (_call, body) => issueToken(context, body)),
    post('/tokens/renew', 'renewToken', roles, (call) => renewToken(context, call)),
    post('/tokens/revoke', 'revokeTokens', ['operator'], (_call, body) => revokeTokens(context, body)),

    { ...get('/house', () => showHouse(cluster)), allow: ['operator'] },
    post('/house', 'configureHouse', ['operator'], (_call, body) => configureHouse(cluster, body)),
    post('/house/clock', 'shiftClock', ['operator'], (_call, { to }) => shiftClock(cluster, to)),

    get('/auctions', (call) => listAuctions(context, call)),
    post('/auctions', 'createAuction', ['seller', 'operator'], (call, body) =>
      createAuction(context, call, body),
    ),
    get('/auctions/:id', (call) => withAuction(call, (id) => showAuction(context, call, id))),
    get('/auctions/:id/bids', (call) => withAuction(call, (id) => listBids(context, call, id))),

    post('/bids', 'placeBid', ['bidder'], (call, { auctionId, amount, kind = 'max' }) =>
      bid(context, call, auctionId, (subject) => ({
        type: 'place_bid',
        subject,
        ...requestOf(call),
        auctionId,
        amount,
        kind,
      })),
    ),
    post('/auctions/:id/buy-now', 'buyNow', ['bidder'], (call) =>
      withAuction(call, (auctionId) =>
        bid(context, call, auctionId, (subject) => ({
          type: 'buy_now',
          subject,
          ...requestOf(call),
          auctionId,
        })),
      ),
    ),

    manage('/auctions/:id/close', 'close_auction'),
    manage('/auctions/:id/cancel', 'cancel_auction'),
    manage('/auction/:id/cancel', 'cancel_auction'),
    manage('/auctions/:id/pause', 'pause_auction'),
    manage('/auctions/:id/resume', 'resume_auction'),
    post('/auctions/:id/extend', 'extendAuction', ['seller', 'operator'], (call, { byMs, expect }) =>
      change(context, call, (base) => ({ type: 'extend_auction', ...base, byMs, ...expectedOf(expect) })),
    ),
  ]

  function manage(
    path: string,
    type: 'close_auction' | 'cancel_auction' | 'pause_auction' | 'resume_auction',
  ): Route {
    return post(path, 'manageAuction', ['seller', 'operator'], (call, { expect }) =>
      change(context, call, (base) => ({ type, ...base, ...expectedOf(expect) })),
    )
  }

  function readiness({ isDraining }: RouteContext): HttpAnswer {
    if (isDraining()) return problemAnswer('draining')
    return cluster.status().ready ? jsonAnswer(200, { status: 'ready' }) : problemAnswer('unavailable')
  }
}

/** A client without a token, or an operator, registers a new buyer; a bidder's token renews its own entry. */
async function registerBuyer(
  context: RouteContext,
  call: Call,
  body: HttpBodyOf<'registerBuyer'>,
): Promise<HttpAnswer> {
  const { config, cluster, clock, tokens, admission, metrics } = context
  const { identity, requestId, address } = call
  const isOperator = hasRole(identity, 'operator')
  if (!config.registrationOpen && !isOperator) return problemAnswer('registration_closed')
  const waitMs = admission.registration(identity, address, clock.monotonicMs())
  if (waitMs > 0) {
    metrics.rateLimited.add(1, { what: 'registration' })
    return rateAnswer(waitMs)
  }
  const subject = identity?.subject ?? strangerOf(requestId, address)
  const isOwn = hasRole(identity, 'bidder') && !isOperator
  const buyerId = isOwn ? subject : buyerIdOf(subject, requestId)
  const reply = await propose(cluster, cluster.groups[0] ?? 0, {
    type: 'register_buyer',
    subject,
    ...requestOf(call),
    buyerId,
    serverId: config.serverId as ServerId,
    ...body,
    interests: body.interests.toSorted(byCodeUnit),
  })
  if (!reply.ok) return rejectionAnswer(reply)
  const { token } = await tokens.issue(buyerId, ['bidder'], config.tokenTtlSeconds)
  const { webhookSecretOf } = context
  const answer: BuyerRegisteredBody = {
    id: buyerId,
    ...body,
    token,
    ...(body.endpoint === undefined || webhookSecretOf === undefined
      ? {}
      : { webhookSecret: webhookSecretOf(buyerId) }),
  }
  return jsonAnswer(201, answer)
}

async function issueToken(
  { tokens, config }: RouteContext,
  body: HttpBodyOf<'issueToken'>,
): Promise<HttpAnswer> {
  const { subject, roles } = body
  const { token, expiresAtMs } = await tokens.issue(subject, roles, body.ttlSeconds ?? config.tokenTtlSeconds)
  const answer: TokenIssuedBody = { token, subject, roles, expiresAt: expiresAtMs }
  return jsonAnswer(201, answer)
}

/** A new token of the same life, for the same subject and roles; an outside authority renews its own. */
async function renewToken({ tokens, config }: RouteContext, call: Call): Promise<HttpAnswer> {
  const { subject, roles, issuedAtMs, expiresAtMs, isOwn } = identityOf(call)
  if (!isOwn)
    return problemAnswer('role_missing', { detail: 'the authority that issued this token renews it' })
  const lifeSeconds = Math.max(1, Math.floor((expiresAtMs - issuedAtMs) / 1000))
  const ttlSeconds = roles.includes('operator') ? lifeSeconds : Math.min(lifeSeconds, config.tokenTtlSeconds)
  const { token, expiresAtMs: until } = await tokens.issue(subject, roles, ttlSeconds)
  const answer: TokenIssuedBody = { token, subject, roles, expiresAt: until }
  return jsonAnswer(201, answer)
}

/** Answers when this server refuses them; the others do within a second. */
async function revokeTokens(
  { cluster, revoked }: RouteContext,
  { subject, issuedUntil }: HttpBodyOf<'revokeTokens'>,
): Promise<HttpAnswer> {
  const [groupId] = cluster.groups
  assert(groupId !== undefined, 'a cluster has a group')
  const reply = await cluster.propose(groupId, {
    type: 'revoke_tokens',
    ...(subject !== undefined && { subject }),
    ...(issuedUntil !== undefined && { untilMs: issuedUntil }),
  })
  if (!reply.ok) {
    const detail = 'so many subjects have revoked tokens: revoke those of everybody up to a moment'
    return problemAnswer(reply.code, { detail })
  }
  await revoked()
  const answer: TokensRevokedBody = { ...(subject !== undefined && { subject }), revoked: true }
  return jsonAnswer(200, answer)
}

async function createAuction(
  context: RouteContext,
  call: Call,
  body: HttpBodyOf<'createAuction'>,
): Promise<HttpAnswer> {
  const { config, cluster } = context
  const { subject } = identityOf(call)
  const auctionId = auctionIdOf(subject, call.requestId)
  const { currency = config.defaultCurrency, increments, format = 'english', item, opensAt, ...rest } = body
  const terms: AuctionTerms = {
    ...rest,
    tags: rest.tags.toSorted(byCodeUnit),
    format,
    currency,
    ...(increments === undefined
      ? { increments: defaultIncrements(currency), usesHouseIncrements: true }
      : { increments }),
    ...(opensAt === undefined ? {} : { opensAtMs: opensAt }),
    ...(item === undefined ? {} : { item: JSON.stringify(item) }),
  }
  const serverId = config.serverId as ServerId
  const command: Command = {
    type: 'create_auction',
    subject,
    ...requestOf(call),
    auctionId,
    serverId,
    terms,
  }
  const reply = await propose(cluster, cluster.groupOf(auctionId), command)
  if (!reply.ok) return rejectionAnswer(reply, { detail: termsFault(terms) })
  const view = await viewOf(cluster, auctionId)
  context.dueAt(auctionId, view.status === 'scheduled' ? view.opensAt : view.closesAt)
  return jsonAnswer(201, wireView(view), { Location: `/auctions/${auctionId}` })
}

async function listAuctions({ cluster }: RouteContext, call: Call): Promise<HttpAnswer> {
  const { query } = call
  const status = parameter(query, 'status')
  const tag = parameter(query, 'tag')?.trim().normalize('NFC').toLowerCase()
  const after = parameter(query, 'after')
  const limit = pageLimit(query)
  const known = auctionStatuses.find((one) => one === status)
  if (status !== undefined && known === undefined)
    return invalid(`status must be one of ${auctionStatuses.join(', ')}`)
  if (tag !== undefined && (tag === '' || tag.length > tagLengthMax))
    return invalid(`tag has 1 to ${tagLengthMax} characters`)
  if (limit === undefined) return invalid(`limit must be an integer from 1 to ${pageLimitMax}`)
  if (after !== undefined && !/^[\x21-\x7e]{1,256}$/.test(after))
    return invalid('after must be the `next` of a page')
  const asked: AuctionQuery = {
    limit,
    ...(known === undefined ? {} : { status: known }),
    ...(tag === undefined ? {} : { tag }),
    ...(after === undefined ? {} : { after }),
  }
  const answer: AuctionsBody = await pageOf(cluster, asked)
  return jsonAnswer(200, answer)
}

/** Auctions of a listing that are read from the cluster at once. */
const listedAtOnce = 100

/**
 * A page of a listing, without the `item` of each auction: it is read from the cluster part by part, and ends early
 * with a `next` once it has `pageBytesMax`.
 */
async function pageOf(cluster: Cluster, asked: AuctionQuery): Promise<AuctionsBody> {
  const auctions: AuctionsBody['auctions'][number][] = []
  let bytes = 0
  let next = asked.after
  do {
    const limit = Math.min(listedAtOnce, asked.limit - auctions.length)
    const part = await cluster.auctions({ ...asked, limit, ...(next === undefined ? {} : { after: next }) })
    const entries = part.auctions.map(({ item: _item, ...view }) => wireView(view))
    auctions.push(...entries)
    // Only a page of several parts can grow beyond the bound.
    if (asked.limit > listedAtOnce) bytes += JSON.stringify(entries).length
    next = part.next
  } while (next !== undefined && auctions.length < asked.limit && bytes < pageBytesMax)
  return { auctions, ...(next === undefined ? {} : { next }) }
}

async function showAuction({ cluster }: RouteContext, call: Call, auctionId: AuctionId): Promise<HttpAnswer> {
  const view = await cluster.auction(auctionId)
  if (view === undefined) return problemAnswer('auction_not_found')
  const { identity } = call
  const isBidder = identity !== undefined && hasRole(identity, 'bidder')
  const you = isBidder ? await cluster.standing(auctionId, identity.subject) : undefined
  return jsonAnswer(200, wireView(view, you))
}

/** Pages over the auction's events, so a page may have fewer bids than its limit, or none. */
async function listBids({ cluster }: RouteContext, call: Call, auctionId: AuctionId): Promise<HttpAnswer> {
  const limit = pageLimit(call.query)
  const after = integerOf(parameter(call.query, 'after') ?? '0')
  if (limit === undefined) return invalid(`limit must be an integer from 1 to ${pageLimitMax}`)
  if (after === undefined) return invalid('after must be the `seq` of an entry')
  if ((await cluster.auction(auctionId)) === undefined) return problemAnswer('auction_not_found')
  const bids: BidPlaced[] = []
  let from = after
  let isAtEnd = false
  while (bids.length <= limit && !isAtEnd) {
    const events = await cluster.events(auctionId, from, pageLimitMax)
    for (const event of events) if (event.type === 'bid_placed') bids.push(event)
    from = events.at(-1)?.seq ?? from
    isAtEnd = events.length < pageLimitMax
  }
  const shown = bids.slice(0, limit)
  const last = shown.at(-1)
  const answer: BidsBody = {
    bids: shown.map((event) => bidEntry(event, call.identity?.subject)),
    ...(bids.length > limit && last !== undefined ? { next: last.seq } : {}),
  }
  return jsonAnswer(200, answer)
}

async function bid(
  { cluster, clock, admission, metrics }: RouteContext,
  call: Call,
  auctionId: AuctionId,
  commandOf: (subject: SubjectId) => Command,
): Promise<HttpAnswer> {
  const identity = identityOf(call)
  const waitMs = admission.bid(identity, clock.monotonicMs())
  if (waitMs > 0) {
    metrics.rateLimited.add(1, { what: 'bid' })
    return rateAnswer(waitMs)
  }
  const sinceMs = clock.monotonicMs()
  const reply = await propose(cluster, cluster.groupOf(auctionId), commandOf(identity.subject))
  metrics.bids.add(1, { outcome: reply.ok ? 'accepted' : reply.code })
  metrics.bidSeconds.observe((clock.monotonicMs() - sinceMs) / 1000)
  if (!reply.ok) {
    const view = reply.code === 'bid_too_low' ? await cluster.auction(auctionId) : undefined
    return rejectionAnswer(reply, { bidCount: view?.bidCount })
  }
  assert(reply.type === 'bid', 'the reply to a bid is a bid')
  return jsonAnswer(201, {
    type: 'bid_accepted',
    requestId: call.requestId,
    auctionId,
    seq: reply.seq,
    price: reply.price,
    askingBid: reply.askingBid,
    you: wireStanding(reply.you),
  })
}

/** What makes a retry count once. */
function requestOf({ requestId, ageMs }: Call): { requestId: Call['requestId']; ageMs?: number } {
  return ageMs === undefined ? { requestId } : { requestId, ageMs }
}

function expectedOf(expect: HttpBodyOf<'manageAuction'>['expect']): { expected?: Expected } {
  if (expect === undefined) return {}
  const { seq, closesAt } = expect
  return {
    expected: {
      ...(seq === undefined ? {} : { seq }),
      ...(closesAt === undefined ? {} : { closesAtMs: closesAt }),
    },
  }
}

type ManagedFields = {
  readonly subject: SubjectId
  readonly requestId: Call['requestId']
  readonly ageMs?: number
  readonly auctionId: AuctionId
  readonly operator: boolean
}

function change(
  context: RouteContext,
  call: Call,
  commandOf: (base: ManagedFields) => Command,
): Promise<HttpAnswer> | HttpAnswer {
  return withAuction(call, async (auctionId) => {
    const { cluster } = context
    const identity = identityOf(call)
    const operator = hasRole(identity, 'operator')
    const command = commandOf({ subject: identity.subject, ...requestOf(call), auctionId, operator })
    const reply = await propose(cluster, cluster.groupOf(auctionId), command)
    if (!reply.ok) return rejectionAnswer(reply)
    return jsonAnswer(200, wireView(await viewOf(cluster, auctionId)))
  })
}

function propose(cluster: Cluster, groupId: number, command: Command): Promise<Reply> {
  return cluster.propose(groupId as Cluster['groups'][number], command)
}

async function viewOf(cluster: Cluster, auctionId: AuctionId): Promise<AuctionView> {
  const view = await cluster.auction(auctionId)
  assert(view !== undefined, 'an auction that a reply named can be read')
  return view
}

/** Calls `use` with the id in the path; a text that is no id is an unknown auction. */
function withAuction<Answer>(call: Call, use: (auctionId: AuctionId) => Answer): Answer | HttpAnswer {
  const id = call.params['id']
  return isId(id) ? use(id as AuctionId) : problemAnswer('auction_not_found')
}

/** The identity on a route that needs a role, which is never called without a token. */
function identityOf(call: Call): Identity {
  assert(call.identity !== undefined, 'a route that needs a role is called with a token')
  return call.identity
}

/** The order of tags in the machine. */
function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function invalid(detail: string): HttpAnswer {
  return problemAnswer('field_invalid', { detail })
}

function integerOf(text: string): number | undefined {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(value) ? value : undefined
}

/** The value of a parameter; an empty one counts as absent. */
function parameter(query: URLSearchParams, name: string): string | undefined {
  const given = query.get(name)
  return given === null || given === '' ? undefined : given
}

function pageLimit(query: URLSearchParams): number | undefined {
  const given = parameter(query, 'limit')
  if (given === undefined) return pageLimitDefault
  const value = integerOf(given)
  return value !== undefined && value >= 1 && value <= pageLimitMax ? value : undefined
}
