/**
 * Bidders for drills: sessions of the public client, spread over all servers.
 *
 * They use both subprotocols, bid on auctions that close while the fault happens, and record everything they receive.
 * The faults are in faults.ts, the verdict in audit.ts.
 *
 * Invariant: what is recorded came through the public API; a bid is recorded before it is sent.
 */
import { randomUUID } from 'node:crypto'
import { WebSocket } from 'ws'
import {
  ClientError,
  type Clock,
  type Fetch,
  HouseHttp,
  isEnded,
  jsonCodec,
  msgpackCodec,
  Session,
  type Transport,
  type WebSocketClass,
  webSocketTransport,
} from '../../clients/core/index.ts'
import type { AuctionView } from '../../protocol/auction-view.ts'
import type { AuctionId, RequestId } from '../../protocol/ids.ts'
import type { PublicEventFrame } from '../../protocol/server-frames.ts'
import { systemClock } from '../../runtime/clock.ts'
import { Random } from '../../runtime/random.ts'
import { until } from '../processes.ts'
import type { AuditInput } from './audit.ts'
import { auditNotifications } from './audit-notifications.ts'
import type { AuditedAuction, BidRecord, HistoryRow, Outage, PrivateMessage, Watched } from './record.ts'
import { WebhookReceiver } from './webhooks.ts'

const clock: Clock = systemClock
const sockets = webSocketTransport(WebSocket as unknown as WebSocketClass, clock)

/** A bid with its times (performance.now), for measuring. */
export interface TimedBid extends BidRecord {
  answer: BidRecord['answer']
  readonly sentMs: number
  answeredMs?: number
  seq?: number
  code?: string
}

interface LoadAuction {
  readonly id: AuctionId
  readonly firstClosesAt: number
  readonly owner: string
}

interface Watching extends Watched {
  readonly events: PublicEventFrame[]
  missed: number
}

export class Bidder {
  readonly id: string
  readonly token: string
  readonly http: HouseHttp
  readonly session: Session
  /** Where its latest socket was opened to. */
  server = ''
  /** Moments at which a session became open. */
  readonly opens: { readonly atMs: number; readonly server: string }[] = []
  readonly views = new Map<AuctionId, AuctionView>()
  readonly bids: TimedBid[] = []

  constructor(id: string, token: string, at: number, urls: readonly string[], fetch: Fetch) {
    this.id = id
    this.token = token
    this.http = httpOver(urls, fetch, token)
    // Each begins with another server, and knows them all.
    const own = urls.map((_, offset) => urls[(at + offset) % urls.length] as string)
    const transport: Transport = {
      open: (url, subprotocols, handlers) => {
        this.server = own.find((server) => url.startsWith(server.replace('http', 'ws'))) as string
        return sockets.open(url, subprotocols, handlers)
      },
    }
    this.session = new Session({
      url: own[0] as string,
      otherUrls: own.slice(1),
      token: () => token,
      transport,
      clock,
      random: Math.random,
      newId: randomUUID,
      codec: at % 2 === 0 ? jsonCodec : msgpackCodec,
      bidPatienceMs: 240_000,
    })
    this.session.on('state', ({ name }) => {
      if (name === 'open') this.opens.push({ atMs: performance.now(), server: this.server })
    })
  }
}

/** HTTP over all servers: a call that one does not answer goes to the next. */
function anyServer(urls: readonly string[]): Fetch {
  let at = 0
  return async (url, request) => {
    const path = url.slice((urls[0] as string).length)
    let failure: unknown
    for (let attempt = 0; attempt < 40 * urls.length; attempt++) {
      try {
        const response = await fetch(urls[at % urls.length] + path, {
          ...request,
          signal: AbortSignal.timeout(3_000),
        })
        if (response.status !== 503) return response
        await response.text()
        failure = new Error('503')
      } catch (error) {
        failure = error
      }
      at++
      await pause(50 + 5 * attempt)
    }
    throw failure
  }
}

function httpOver(urls: readonly string[], over: Fetch, token: string): HouseHttp {
  return new HouseHttp({
    url: urls[0] as string,
    token: () => token,
    fetch: over,
    clock,
    random: Math.random,
    newId: randomUUID,
    repeatsMax: 50,
  })
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

export interface LoadOptions {
  readonly urls: readonly string[]
  readonly operatorToken: string
  readonly bidders?: number
  /** Pause between two bids of one bidder, at least and at most, in ms. */
  readonly pauseMs?: readonly [least: number, most: number]
  readonly seed: number
  /** File of the house's webhook key: buyers then have webhooks, and the audit looks at them. */
  readonly webhookKeyFile?: string
}

/** An answer may take so long from a server that sleeps already to its bidder. */
const onItsWayMs = 50

/** Lawful refusals between bidders who do not wait for each other. */
const expectedRefusals = new Set(['bid_too_low', 'already_leading', 'auction_closed'])

export class Load {
  readonly bidders: Bidder[] = []
  readonly auctions: LoadAuction[] = []
  readonly operator: HouseHttp
  readonly webhooks: WebhookReceiver | undefined
  readonly random: Random
  /** Refusals other than those between bidders. */
  readonly unexpected: string[] = []
  readonly #watched: Watching[] = []
  readonly #privately: PrivateMessage[] = []
  readonly #pauseMs: readonly [number, number]
  readonly #urls: readonly string[]
  readonly #operatorToken: string
  #isBidding = false
  #running: Promise<void>[] = []
  #requests = 0
  /** Accepted bids, in order of their answers. */
  readonly #accepted: TimedBid[] = []
  /** When the first bidder saw the end of an auction (performance.now). */
  readonly #endsSeen = new Map<string, number>()
  #isClosedByOperator = false

  private constructor(options: LoadOptions, webhooks: WebhookReceiver | undefined) {
    const { urls, operatorToken, pauseMs = [20, 60], seed } = options
    this.#urls = urls
    this.#operatorToken = operatorToken
    this.operator = httpOver(urls, anyServer(urls), operatorToken)
    this.#pauseMs = pauseMs
    this.random = new Random(seed)
    this.webhooks = webhooks
  }

  static async open(options: LoadOptions): Promise<Load> {
    const { webhookKeyFile, bidders = 16, urls } = options
    const webhooks = webhookKeyFile === undefined ? undefined : await WebhookReceiver.open(webhookKeyFile)
    const load = new Load(options, webhooks)
    for (let at = 0; at < bidders; at++) {
      const { id, token } = await load.operator.registerBuyer({
        name: `Bidder ${at}`,
        interests: [],
        ...(webhooks === undefined ? {} : { endpoint: webhooks.url }),
      })
      const bidder = new Bidder(id, token, at, urls, anyServer(urls))
      bidder.session.on('private', ({ type, auctionId, seq }) => {
        load.#privately.push({ bidder: id, type, auctionId, seq })
      })
      load.bidders.push(bidder)
    }
    await Promise.all(load.bidders.map(({ session }) => session.opened()))
    return load
  }

  /** Makes auctions that close between `fromMs` and `toMs` from now, through all servers in turn; all bidders watch. */
  async createAuctions(count: number, fromMs: number, toMs: number): Promise<readonly LoadAuction[]> {
    const made: LoadAuction[] = []
    const direct = this.#urls.map((url) =>
      httpOver([url], async (to, request) => await fetch(to, request), this.#operatorToken),
    )
    const makeOne = async (at: number): Promise<void> => {
      const durationMs = Math.round(fromMs + this.random.unit() * (toMs - fromMs))
      const terms = {
        title: `Lot ${this.auctions.length + at}`,
        tags: ['drill'],
        openingBid: 100,
        durationMs,
      }
      const id = randomUUID() as RequestId
      const http = direct[at % direct.length] as HouseHttp
      const view = await http.createAuction(terms, id).catch(() => this.operator.createAuction(terms, id))
      made.push({ id: view.id, firstClosesAt: view.closesAt, owner: view.owner })
    }
    for (let at = 0; at < count; at += 8) {
      const batch = Array.from({ length: Math.min(8, count - at) }, (_, offset) => makeOne(at + offset))
      await Promise.all(batch)
    }
    for (const auction of made) {
      this.auctions.push(auction)
      for (const [at, bidder] of this.bidders.entries()) this.#watch(bidder, at, auction.id)
    }
    return made
  }

  #watch(bidder: Bidder, at: number, auctionId: AuctionId): void {
    let watching: Watching | undefined
    const end = bidder.session.watch(auctionId, (update) => {
      if (update.type === 'refused') throw new Error(`${auctionId} may not be watched: ${update.code}`)
      bidder.views.set(auctionId, update.auction)
      if (update.type === 'snapshot') {
        if (watching !== undefined && update.missed) watching.missed += 1
        if (watching === undefined || update.missed) {
          watching = {
            watcher: `bidder ${at}`,
            auctionId,
            firstSeq: update.auction.seq,
            firstClosesAt: update.auction.closesAt,
            events: [],
            missed: 0,
          }
          this.#watched.push(watching)
        }
      } else watching?.events.push(update.event)
      if (!isEnded(update.auction)) return
      if (!this.#endsSeen.has(auctionId)) this.#endsSeen.set(auctionId, performance.now())
      bidder.views.delete(auctionId)
      // Not within the call: the session is still telling it to its listeners.
      setImmediate(() => end())
    })
  }

  start(): void {
    this.#isBidding = true
    this.#running = this.bidders.map((bidder) => this.#bid(bidder))
  }

  /** Waits for the answers of all open bids. */
  async stop(): Promise<void> {
    this.#isBidding = false
    await Promise.all(this.#running)
  }

  async #bid(bidder: Bidder): Promise<void> {
    const [least, most] = this.#pauseMs
    while (this.#isBidding) {
      const auction = this.#choose(bidder)
      if (auction === undefined) {
        await pause(20)
        continue
      }
      const amount = auction.askingBid + this.random.below(400)
      const requestId = `${bidder.id}-${this.#requests++}` as RequestId
      const bid: TimedBid = {
        bidder: bidder.id,
        auctionId: auction.id,
        requestId,
        amount,
        answer: 'unknown',
        sentMs: performance.now(),
      }
      bidder.bids.push(bid)
      try {
        const kind = this.random.chance(0.3) ? 'exact' : 'max'
        const outcome = await bidder.session.placeBid({ auctionId: auction.id, amount, requestId, kind })
        bid.answeredMs = performance.now()
        if (outcome.type === 'bid_accepted') {
          bid.answer = 'accepted'
          bid.seq = outcome.seq
          this.#accepted.push(bid)
        } else {
          bid.answer = 'rejected'
          bid.code = outcome.code
          if (!expectedRefusals.has(outcome.code)) this.unexpected.push(`${requestId}: ${outcome.code}`)
          if (outcome.code === 'auction_closed') bidder.views.delete(auction.id)
          else {
            const view = bidder.views.get(auction.id)
            const askingBid = Math.max(outcome.askingBid ?? 0, view?.askingBid ?? 0, amount)
            if (view !== undefined) bidder.views.set(auction.id, { ...view, askingBid })
          }
        }
      } catch (error) {
        if (!(error instanceof ClientError)) throw error
        if (error.code !== 'outcome_unknown') this.unexpected.push(`${requestId}: ${error.code}`)
      }
      await pause(least + this.random.unit() * (most - least))
    }
  }

  /** One of the open auctions that this bidder knows and does not lead. */
  #choose(bidder: Bidder): AuctionView | undefined {
    const open = [...bidder.views.values()].filter(
      ({ status, you }) => status === 'open' && you?.status !== 'winning',
    )
    return open[this.random.below(open.length)]
  }

  /** All bids so far. */
  get bids(): readonly TimedBid[] {
    return this.bidders.flatMap(({ bids }) => bids)
  }

  get acknowledged(): number {
    return this.#accepted.length
  }

  /** When the first bidder saw the end of an auction (performance.now); `undefined`: none did yet. */
  endSeenMs(auctionId: string): number | undefined {
    return this.#endsSeen.get(auctionId)
  }

  /** From a moment to the answer to the first bid that was sent after it and accepted; `undefined`: none yet. */
  gapMs(sinceMs: number): number | undefined {
    let first: number | undefined
    for (let at = this.#accepted.length - 1; at >= 0; at--) {
      const { sentMs, answeredMs = 0 } = this.#accepted[at] as TimedBid
      if (answeredMs < sinceMs) break
      if (sentMs >= sinceMs) first = answeredMs
    }
    return first === undefined ? undefined : first - sinceMs
  }

  /**
   * The same for one bidder whose server was hit at that moment: its first accepted bid on a new socket, or, where
   * the old socket may live on (`isKilled` false), the first one that was not sent already.
   */
  gapOfMs(bidder: Bidder, sinceMs: number, isKilled: boolean): number | undefined {
    const open = isKilled ? bidder.opens.find(({ atMs }) => atMs >= sinceMs)?.atMs : sinceMs + onItsWayMs
    if (open === undefined) return undefined
    const next = bidder.bids.find(
      ({ answer, answeredMs }) => answer === 'accepted' && answeredMs !== undefined && answeredMs >= open,
    )
    return next?.answeredMs === undefined ? undefined : next.answeredMs - sinceMs
  }

  /** Ends what is still open, as the operator may. */
  async closeAll(): Promise<void> {
    await this.stop()
    this.#isClosedByOperator = true
    for (const { id } of this.auctions) await this.operator.manage(id, 'close').catch(() => undefined)
  }

  /** Waits until no auction is open any more and every watcher has seen the end of each. */
  async settle(patienceMs = 90_000): Promise<void> {
    await this.stop()
    const endMs = performance.now() + patienceMs
    // What stays open or unseen is the audit's to name.
    for (let isOpen = true; isOpen && performance.now() < endMs; ) {
      await pause(300)
      const page = await this.operator.auctions({ tag: 'drill', status: 'open', limit: 1 })
      isOpen = page.auctions.length > 0
    }
    const isSeen = (): boolean => this.bidders.every(({ views }) => views.size === 0)
    await until('every watcher has seen every end', isSeen, 15_000).catch(() => undefined)
  }

  /** The record of everything, for the audit. */
  async record(outages: readonly Outage[]): Promise<AuditInput> {
    const { bids } = this
    const auctions: AuditedAuction[] = []
    const interested = new Map<string, Set<Bidder>>()
    for (const bidder of this.bidders)
      for (const { auctionId } of bidder.bids) {
        const those = interested.get(auctionId) ?? new Set()
        interested.set(auctionId, those.add(bidder))
      }
    for (let at = 0; at < this.auctions.length; at += 8) {
      const batch = this.auctions.slice(at, at + 8).map(async ({ id, firstClosesAt }) => {
        const view = await this.operator.auction(id)
        const history = await this.#history(id, interested.get(id))
        auctions.push({ id, firstClosesAt, view, history, isClosedByOperator: this.#isClosedByOperator })
      })
      await Promise.all(batch)
    }
    const input = { auctions, bids, watched: this.#watched, privately: this.#privately, outages }
    if (this.webhooks === undefined) return input
    await this.#untilNotified(auctions, this.webhooks)
    return { ...input, posts: this.webhooks.posts }
  }

  async #history(auctionId: AuctionId, bidders: ReadonlySet<Bidder> = new Set()): Promise<HistoryRow[]> {
    const rows = new Map<number, HistoryRow & { readonly own: HistoryRow['own'][number][] }>()
    const readers = [{ id: undefined, http: this.operator }, ...bidders]
    for (const { id, http } of readers) {
      for (let after: number | undefined = 0; after !== undefined; ) {
        const page: Awaited<ReturnType<typeof http.bids>> = await http.bids(auctionId, { after, limit: 500 })
        for (const { seq, serverTime, bidder, highBidder, price, you } of page.bids) {
          const row = rows.get(seq) ?? { seq, serverTime, bidder, highBidder, price, own: [] }
          rows.set(seq, row)
          if (id !== undefined && you !== undefined)
            row.own.push({ bidder: id, amount: you.amount, requestId: you.requestId })
        }
        after = page.next
      }
    }
    return [...rows.values()]
  }

  /** Waits while notifications are still coming and some are missing. */
  async #untilNotified(auctions: readonly AuditedAuction[], webhooks: WebhookReceiver): Promise<void> {
    let seen = -1
    let seenMs = performance.now()
    while (performance.now() - seenMs < 15_000) {
      if (webhooks.posts.length !== seen) {
        seen = webhooks.posts.length
        seenMs = performance.now()
      }
      let missing = 0
      auditNotifications(auctions, webhooks.posts, (rule) => {
        missing += +(rule === 'notification missing')
      })
      if (missing === 0) return
      await pause(1_000)
    }
  }

  async close(): Promise<void> {
    this.#isBidding = false
    for (const { session } of this.bidders) session.close()
    await this.webhooks?.close()
  }
}
