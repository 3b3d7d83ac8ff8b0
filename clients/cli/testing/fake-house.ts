/**
 * A small house in memory, on a real port, for tests of the command line.
 * Invariant: it reads requests with the protocol's own readers, so a request that breaks the contract is refused here
 * too. It holds English auctions with hidden maxima and plain bids; no reserve, no soft close, nothing
 * durable.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import type { AuctionView } from '../../../protocol/auction-view.ts'
import type { ClientFrame } from '../../../protocol/client-frames.ts'
import { decodeClientText } from '../../../protocol/decode.ts'
import type { BidKind } from '../../../protocol/fields.ts'
import {
  type HouseBody,
  type HttpBodyName,
  type HttpBodyOf,
  readHttpBody,
} from '../../../protocol/http-bodies.ts'
import type { AuctionId, SubjectId } from '../../../protocol/ids.ts'
import { defaultIncrements, type IncrementTable, incrementAt } from '../../../protocol/money.ts'
import { type ProblemCode, problem } from '../../../protocol/problems.ts'
import type { PublicEventFrame, ServerFrame } from '../../../protocol/server-frames.ts'
import { readOffer } from '../../../protocol/subprotocols.ts'

export const operatorToken = 'operator-token'

class Refusal extends Error {
  readonly code: ProblemCode
  constructor(code: ProblemCode, detail?: string) {
    super(detail ?? '')
    this.code = code
  }
}

class FakeAuction {
  view: AuctionView
  readonly events: PublicEventFrame[] = []
  readonly #maxima = new Map<string, number>()
  readonly #aliases = new Map<string, string>()
  readonly #increments: IncrementTable
  #highBidder: string | undefined

  constructor(id: AuctionId, terms: HttpBodyOf<'createAuction'>) {
    const { title, tags, openingBid, durationMs, currency = 'USD' } = terms
    this.#increments = terms.increments ?? defaultIncrements(currency)
    this.view = {
      id,
      title,
      tags,
      format: 'english',
      currency,
      status: 'open',
      openingBid,
      askingBid: openingBid,
      bidCount: 0,
      reserve: 'none',
      opensAt: Date.now(),
      closesAt: Date.now() + durationMs,
      extensions: 0,
      seq: 0,
      epoch: 1,
      owner: 'fake',
      sellerId: 'operator' as SubjectId,
      item: null,
      price: null,
      highBidder: null,
      buyNow: terms.buyNow ?? null,
    }
  }

  /** The facts of the next event. */
  next() {
    return { auctionId: this.view.id, seq: this.view.seq + 1, epoch: 1, serverTime: Date.now() } as const
  }

  push(event: PublicEventFrame, changes: Partial<AuctionView>): void {
    this.events.push(event)
    this.view = { ...this.view, ...changes, seq: event.seq }
  }

  /** Returns a rejection code, or the bidder's standing. */
  bid(
    bidder: string,
    amount: number,
    kind: BidKind = 'max',
  ): ProblemCode | { readonly status: 'winning' | 'outbid'; readonly maxBid: number } {
    if (this.view.status !== 'open') return 'auction_closed'
    const highMaximum = this.#maxima.get(this.#highBidder ?? '') ?? -1
    if (this.#highBidder === bidder && amount <= highMaximum) return 'already_leading'
    const isOwnMaximum = this.#highBidder === bidder && kind === 'max'
    if (!isOwnMaximum && amount < this.view.askingBid) return 'bid_too_low'
    const table = this.#increments
    let price = this.view.price ?? this.view.openingBid
    if (this.#highBidder !== undefined && this.#highBidder !== bidder) {
      const lower = Math.min(amount, highMaximum)
      price = Math.max(price, Math.min(Math.max(amount, highMaximum), lower + incrementAt(table, lower)))
    }
    if (kind === 'exact' && amount > highMaximum) price = amount
    this.#maxima.set(bidder, amount)
    if (amount > highMaximum) this.#highBidder = bidder
    this.#alias(bidder)
    const highBidder = this.#alias(this.#highBidder ?? bidder)
    const askingBid = price + incrementAt(table, price)
    const bidCount = this.view.bidCount + 1
    const facts = { price, askingBid, bidCount, highBidder }
    this.push(
      { type: 'bid_placed', ...this.next(), ...facts, bidder: this.#alias(bidder), reserve: 'none' },
      facts,
    )
    return { status: this.#highBidder === bidder ? 'winning' : 'outbid', maxBid: amount }
  }

  #alias(bidder: string): string {
    const alias = this.#aliases.get(bidder) ?? `bidder-${this.#aliases.size + 1}`
    this.#aliases.set(bidder, alias)
    return alias
  }

  manage(action: string): void {
    if (this.view.status === 'sold' || this.view.status === 'passed' || this.view.status === 'cancelled')
      throw new Refusal('auction_closed')
    const { price, highBidder } = this.view
    if (action === 'pause') this.push({ type: 'auction_paused', ...this.next() }, { status: 'paused' })
    else if (action === 'resume')
      this.push({ type: 'auction_resumed', ...this.next(), closesAt: this.view.closesAt }, { status: 'open' })
    else if (action === 'cancel')
      this.push({ type: 'auction_cancelled', ...this.next() }, { status: 'cancelled' })
    else if (price === null || highBidder === null)
      this.push({ type: 'auction_passed', ...this.next() }, { status: 'passed' })
    else {
      const sold = { hammerPrice: price, winner: highBidder }
      this.push({ type: 'auction_sold', ...this.next(), ...sold }, { status: 'sold', ...sold })
    }
  }

  extend(byMs: number): void {
    const closesAt = this.view.closesAt + byMs
    const event = { type: 'auction_extended', ...this.next(), closesAt, reason: 'operator' } as const
    this.push(event, { closesAt, extensions: this.view.extensions + 1 })
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return text
}

export class FakeHouse {
  /** What the last shift of the clock asked for. */
  clockMs: number | undefined
  house: HouseBody = {
    settings: { outageExtensionMinMs: 5_000, outageThresholdMs: 2_000 },
    features: [],
    featuresOff: ['some_feature'],
  }
  readonly auctions = new Map<string, FakeAuction>()
  /** Tokens that are taken, with whom each speaks for. */
  readonly tokens = new Map<string, string>([[operatorToken, 'operator']])
  readonly #http: Server
  readonly #sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (names) => [...names][0] ?? false,
  })
  readonly #watchers = new Map<WebSocket, Set<string>>()
  #ids = 0

  private constructor() {
    this.#http = createServer((request, response) => {
      this.#answer(request).then(
        ({ status, body }) => {
          response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
        },
        (error: unknown) => {
          const body =
            error instanceof Refusal
              ? problem(error.code, error.message === '' ? {} : { detail: error.message })
              : problem('internal')
          response
            .writeHead(body.status, { 'content-type': 'application/problem+json' })
            .end(JSON.stringify(body))
        },
      )
    })
    this.#http.on('upgrade', (request, socket, head) => {
      this.#sockets.handleUpgrade(request, socket, head, (client) => this.#welcome(client, request))
    })
  }

  static async open(): Promise<FakeHouse> {
    const house = new FakeHouse()
    await new Promise<void>((resolve) => house.#http.listen(0, '127.0.0.1', resolve))
    return house
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`
  }

  /** How many clients watch an auction. */
  watchersOf(auctionId: string): number {
    return [...this.#watchers.values()].filter((watched) => watched.has(auctionId)).length
  }

  /** Breaks every connection, as a network does. */
  dropSockets(): void {
    for (const client of this.#sockets.clients) client.terminate()
  }

  async close(): Promise<void> {
    this.dropSockets()
    this.#http.closeAllConnections()
    await new Promise((resolve) => this.#http.close(resolve))
  }

  create(
    terms: Partial<HttpBodyOf<'createAuction'>> = {},
    seller: SubjectId = 'operator' as SubjectId,
  ): FakeAuction {
    this.#ids += 1
    const id = `a${this.#ids}` as AuctionId
    const auction = new FakeAuction(id, {
      title: 'Clock',
      tags: [],
      openingBid: 1000,
      durationMs: 60_000,
      ...terms,
    })
    auction.view = { ...auction.view, sellerId: seller }
    this.auctions.set(id, auction)
    auction.push({ type: 'auction_opened', ...auction.next(), closesAt: auction.view.closesAt }, {})
    return auction
  }

  /** Sends an auction's events after `seq` to all that watch it. */
  publish(auction: FakeAuction, afterSeq: number): void {
    for (const [client, watched] of this.#watchers)
      if (watched.has(auction.view.id))
        for (const event of auction.events.slice(afterSeq)) client.send(JSON.stringify(event))
  }

  /** Places a bid and publishes its event. */
  bid(auction: FakeAuction, bidder: string, amount: number, kind: BidKind = 'max') {
    const before = auction.view.seq
    const outcome = auction.bid(bidder, amount, kind)
    this.publish(auction, before)
    return outcome
  }

  manage(auction: FakeAuction, action: string): void {
    const before = auction.view.seq
    auction.manage(action)
    this.publish(auction, before)
  }

  #auction(id: string): FakeAuction {
    const auction = this.auctions.get(id)
    if (auction === undefined) throw new Refusal('auction_not_found')
    return auction
  }

  /** The auction, when the request comes from its seller or the operator. */
  #managed(request: IncomingMessage, id: string): FakeAuction {
    const subject = this.#subject(request)
    const auction = this.#auction(id)
    if (subject !== 'operator' && subject !== auction.view.sellerId) throw new Refusal('not_the_seller')
    return auction
  }

  #subject(request: IncomingMessage): string {
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined) throw new Refusal('token_missing')
    const subject = this.tokens.get(token)
    if (subject === undefined) throw new Refusal('token_invalid')
    return subject
  }

  async #body<Name extends HttpBodyName>(name: Name, request: IncomingMessage): Promise<HttpBodyOf<Name>> {
    if (request.headers['idempotency-key'] === undefined)
      throw new Refusal('field_invalid', 'no Idempotency-Key')
    const read = readHttpBody(name, await textOf(request))
    if (!read.ok) throw new Refusal(read.code, read.message)
    return read.body
  }

  async #answer(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url)
    const [, root = '', id = '', verb = ''] = pathname.split('/')
    const route = `${request.method} /${root}${id === '' ? '' : '/:id'}${verb === '' ? '' : `/${verb}`}`
    switch (route) {
      case 'POST /buyers': {
        const { name, interests } = await this.#body('registerBuyer', request)
        this.#ids += 1
        const buyer = `b${this.#ids}`
        this.tokens.set(`token-of-${buyer}`, buyer)
        return { status: 201, body: { id: buyer, name, interests, token: `token-of-${buyer}` } }
      }
      case 'POST /tokens': {
        if (this.#subject(request) !== 'operator') throw new Refusal('role_missing')
        const { subject, roles, ttlSeconds = 60 } = await this.#body('issueToken', request)
        const expiresAt = Date.now() + ttlSeconds * 1000
        this.tokens.set(`token-of-${subject}`, subject)
        return { status: 201, body: { token: `token-of-${subject}`, subject, roles, expiresAt } }
      }
      case 'GET /house':
        if (this.#subject(request) !== 'operator') throw new Refusal('role_missing')
        return { status: 200, body: this.house }
      case 'POST /house': {
        if (this.#subject(request) !== 'operator') throw new Refusal('role_missing')
        const { features, increments, ...settings } = await this.#body('configureHouse', request)
        const { settings: before, featuresOff } = this.house
        if (Object.values(settings).some((ms) => ms > 86_400_000)) throw new Refusal('terms_invalid')
        const { increments: tablesBefore, ...usual } = before
        const tables = Object.entries({ ...tablesBefore, ...increments }).flatMap(([currency, table]) =>
          table === null ? [] : [[currency, table] as const],
        )
        this.house = {
          ...this.house,
          settings: {
            ...usual,
            ...settings,
            ...(tables.length === 0 ? {} : { increments: Object.fromEntries(tables) }),
          },
          ...(features === undefined ? {} : { features: featuresOff, featuresOff: [] }),
        }
        return { status: 200, body: this.house }
      }
      case 'POST /house/:id':
        if (this.#subject(request) !== 'operator') throw new Refusal('role_missing')
        this.clockMs = (await this.#body('shiftClock', request)).to
        return { status: 200, body: this.house }
      case 'POST /auctions': {
        const seller = this.#subject(request) as SubjectId
        return { status: 201, body: this.create(await this.#body('createAuction', request), seller).view }
      }
      case 'GET /auctions': {
        const from = Number(searchParams.get('after') ?? 0)
        const limit = Number(searchParams.get('limit') ?? 100)
        const status = searchParams.get('status')
        const all = [...this.auctions.values()].filter(
          ({ view }) => status === null || view.status === status,
        )
        const auctions = all.slice(from, from + limit).map(({ view }) => view)
        const next = from + limit < all.length ? { next: String(from + limit) } : {}
        return { status: 200, body: { auctions, ...next } }
      }
      case 'GET /auctions/:id':
        return { status: 200, body: this.#auction(id).view }
      case 'GET /auctions/:id/bids': {
        const after = Number(searchParams.get('after'))
        const bids = this.#auction(id).events.filter(
          (event) => event.type === 'bid_placed' && event.seq > after,
        )
        return { status: 200, body: { bids } }
      }
      case 'POST /auctions/:id/extend': {
        const auction = this.#managed(request, id)
        auction.extend((await this.#body('extendAuction', request)).byMs)
        return { status: 200, body: auction.view }
      }
      case 'POST /auctions/:id/close':
      case 'POST /auctions/:id/cancel':
      case 'POST /auctions/:id/pause':
      case 'POST /auctions/:id/resume': {
        const auction = this.#managed(request, id)
        await this.#body('manageAuction', request)
        this.manage(auction, verb)
        return { status: 200, body: auction.view }
      }
      default:
        throw new Refusal('not_found')
    }
  }

  #welcome(client: WebSocket, request: IncomingMessage): void {
    const { token } = readOffer(request.headers['sec-websocket-protocol'] ?? '')
    const subject = token === undefined ? undefined : this.tokens.get(token)
    if (token !== undefined && subject === undefined) {
      client.close(4401, 'token')
      return
    }
    this.#watchers.set(client, new Set())
    client.on('close', () => this.#watchers.delete(client))
    const send = (frame: ServerFrame): void => client.send(JSON.stringify(frame))
    send({ type: 'hello', version: 1, sessionId: 's', serverTime: Date.now(), heartbeatMs: 30_000 })
    client.on('message', (data) => {
      const read = decodeClientText(String(data))
      if (!read.ok) send({ type: 'error', code: 'field_invalid', message: read.message })
      else this.#onFrame(client, send, read.frame, subject)
    })
  }

  #onFrame(
    client: WebSocket,
    send: (frame: ServerFrame) => void,
    frame: ClientFrame,
    subject?: string,
  ): void {
    const replyTo = frame.id
    if (frame.type === 'sync_time') {
      send({ type: 'time', replyTo, t0: frame.t0, t1: Date.now(), t2: Date.now() })
      return
    }
    const { auctionId } = frame
    const auction = this.auctions.get(auctionId)
    if (frame.type === 'subscribe') {
      if (auction === undefined) {
        send({ type: 'error', replyTo, code: 'auction_not_found', message: 'there is no such auction' })
        return
      }
      this.#watchers.get(client)?.add(auctionId)
      const { view } = auction
      if (frame.since === undefined)
        send({ type: 'subscribed', replyTo, auction: view, epoch: 1, seq: view.seq })
      else {
        send({ type: 'resumed', replyTo, auctionId, epoch: 1, seq: view.seq })
        for (const event of auction.events.slice(frame.since.seq)) send(event)
      }
    } else if (frame.type === 'unsubscribe') {
      this.#watchers.get(client)?.delete(auctionId)
      send({ type: 'unsubscribed', replyTo, auctionId })
    } else {
      const { requestId } = frame
      const rejected = (code: ProblemCode): void =>
        send({
          type: 'bid_rejected',
          replyTo,
          requestId,
          auctionId,
          code: code as 'bid_too_low',
          ...(auction === undefined ? {} : { askingBid: auction.view.askingBid }),
        })
      if (auction === undefined) rejected('auction_not_found')
      else if (subject === undefined || subject === 'operator') rejected('not_a_bidder')
      else if (frame.type === 'buy_now' && auction.view.buyNow === null) rejected('buy_now_gone')
      else {
        const amount = frame.type === 'buy_now' ? (auction.view.buyNow ?? 0) : frame.amount
        const kind = frame.type === 'place_bid' ? frame.kind : 'exact'
        const outcome = this.bid(auction, subject, amount, kind)
        if (typeof outcome === 'string') rejected(outcome)
        else {
          const { seq, price, askingBid } = auction.view
          const answer = { replyTo, requestId, auctionId, seq, price: price ?? 0, askingBid, you: outcome }
          send({ type: 'bid_accepted', ...answer })
        }
      }
    }
  }
}
