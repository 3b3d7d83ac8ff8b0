/**
 * A second, simple auction house, to compare with the machine.
 *
 * Every committed entry passes through it. What the machine replied and reported is compared with what it expects.
 *
 * Invariant: it shares no code with the machine and keeps plain lists; clarity counts here, not speed.
 * Source: docs/design.md, "What must never happen"; the machine's rules of docs/spec.md.
 */
import type { AuctionTerms, Command, HouseSettings, MachineEntry } from '../state-cluster/machine/commands.ts'
import type { AuctionStatus, PrivateEvent, PublicEvent, Reply } from '../state-cluster/machine/events.ts'
import { type Checks, isSame } from './checks.ts'
import { RememberedRequests, type RequestOf } from './remembered.ts'
import { type Twin, type TwinLot, twins } from './twins.ts'

/** Near a close, which means within this, servers pulse more often … */
const nearMs = 5_000
/** … and a silence longer than this is an outage. */
const nearThresholdMs = 500

export interface ModelLot extends TwinLot {
  readonly id: string
  /** In order of creation. */
  readonly ordinal: number
  readonly twin: Twin
  readonly seller: string
  readonly terms: AuctionTerms
  owner: ModelServer
  status: AuctionStatus
  opensAt: number
  pausedAt: number | undefined
  seq: number
  softExtensions: number
  winner: string | undefined
  hammerPrice: number | undefined
  /** Bids that were accepted, by request. */
  readonly acceptedBids: Map<string, { readonly seq: number; readonly amount: number }>
}

export interface ModelServer {
  readonly id: string
  epoch: number
  standing: 'live' | 'dead' | 'left'
  lastConductedMs: number
  pulseTimeoutMs: number
  /** Of an outage for which no auction was extended yet. */
  outageGapMs: number
  /** Auctions that have not ended. */
  readonly lots: Set<ModelLot>
}

/** An outbox entry and the server that must publish it. */
interface ModelOutboxEntry {
  readonly position: number
  owner: ModelServer
  readonly lot: ModelLot | undefined
}

type RequestedCommand = Extract<Command, { readonly requestId: unknown }>

type ReportedEvent = Record<string, unknown> & { readonly auctionId: string; readonly seq: number }

export class Auditor {
  readonly lots = new Map<string, ModelLot>()
  readonly servers = new Map<string, ModelServer>()
  /** Notifications that must be published: `WON_AUCTION lot bidder`. */
  readonly outboxEntries: string[] = []
  readonly #checks: Checks
  readonly #requests = new RememberedRequests()
  #settings: HouseSettings = { outageExtensionMinMs: 5_000, outageThresholdMs: 2_000 }
  #atMs = 0
  #events: ReportedEvent[] = []
  #outboxCount = 0
  #outboxEntriesMade = 0
  #outbox: ModelOutboxEntry[] = []
  #epochsGone = 0
  /** The last epoch that each server got. */
  readonly #epochs = new Map<string, number>()
  #lease = { monitorId: '', token: 0, untilMs: 0 }

  constructor(checks: Checks) {
    this.#checks = checks
  }

  /** Applies one committed entry; returns the replies that it expects. */
  apply(
    index: number,
    { atMs, commands }: MachineEntry,
    replies: readonly Reply[],
    events: readonly (PublicEvent | PrivateEvent)[],
    outboxCount: number,
  ): readonly Reply[] {
    this.#checks.hold(
      atMs >= this.#atMs,
      'late is late',
      () => `entry ${index} is stamped before the last one`,
    )
    this.#atMs = atMs
    this.#events = []
    this.#outboxCount = 0
    const expected = commands.map((command, at) => this.#answer(command, replies[at]))
    commands.forEach((command, at) => {
      this.#checks.hold(isSame(replies[at], expected[at]), 'the auditor agrees', () => {
        const facts = `entry ${index}, ${JSON.stringify(command)}`
        return `${facts}: the machine replied ${JSON.stringify(replies[at])}, the auditor ${JSON.stringify(expected[at])}`
      })
    })
    this.#compareEvents(index, events)
    this.#dropIdle()
    this.#checks.hold(
      outboxCount === this.#outboxCount,
      'the auditor agrees',
      () => `entry ${index} brought ${outboxCount} outbox entries, the auditor counts ${this.#outboxCount}`,
    )
    return expected
  }

  #compareEvents(index: number, events: readonly (PublicEvent | PrivateEvent)[]): void {
    const real = events.map(canonical).sort(byPlace)
    const model = this.#events.sort(byPlace)
    this.#checks.hold(isSame(real, model), 'the auditor agrees', () => {
      return `entry ${index} emitted ${JSON.stringify(real)}, the auditor expects ${JSON.stringify(model)}`
    })
  }

  #answer(command: Command, given: Reply | undefined): Reply {
    if (!('requestId' in command)) return this.#run(command)
    const requests = this.#requests
    const request = requestOf(command)
    const known = requests.find(request, this.#atMs)
    if (known !== undefined)
      return known.content === request.content
        ? known.reply
        : { ok: false, code: 'duplicate_request_differs' }
    const place = placeOf(command)
    const last = place === undefined ? undefined : requests.lastAt(place, request)
    if (last !== undefined) return last
    if (given?.ok === false && given.code === 'outcome_unknown') {
      this.#checkUnknown(command)
      return given
    }
    const reply = this.#run(command)
    this.#checkRepeat(command, reply)
    requests.note(request, reply, this.#atMs, place)
    return reply
  }

  /** An unknown outcome is the right answer only to a repeat that is old enough. */
  #checkUnknown({ subject, ageMs = 0, ...rest }: RequestedCommand): void {
    this.#checks.hold(
      ageMs > 0 && this.#requests.mayBeForgotten(subject, ageMs, this.#atMs),
      'a retry counts once',
      () =>
        `the outcome of ${JSON.stringify(rest)}, sent ${ageMs} ms before, is not unknown at ${this.#atMs}`,
    )
  }

  /** What was accepted is not accepted again, and a repeat of it that says so is not refused. */
  #checkRepeat(command: RequestedCommand, reply: Reply): void {
    if (command.type === 'create_auction') return
    const first = this.#requests.everAccepted(requestOf(command))
    const isCopy = command.ageMs === undefined && (!reply.ok || command.type === 'register_buyer')
    this.#checks.hold(first === undefined || isCopy, 'a retry counts once', () => {
      const answers = `${JSON.stringify(reply)}, first answered ${JSON.stringify(first)}`
      return `${JSON.stringify(command)} at ${this.#atMs}: ${answers}`
    })
  }

  #run(command: Command): Reply {
    switch (command.type) {
      case 'create_auction':
        return this.#create(command)
      case 'place_bid':
        return this.#bid(command)
      case 'buy_now':
        return this.#buyNow(command)
      case 'conduct':
        return this.#conduct(command.serverId, command.epoch)
      case 'acknowledge_positions':
        return this.#acknowledge(command, ({ position }) => command.positions.includes(position))
      case 'configure_house':
        if (!areSettingsLawful(command.settings)) return { ok: false, code: 'terms_invalid' }
        this.#settings = { ...command.settings }
        return { ok: true, type: 'done' }
      case 'register_buyer': {
        const through = this.#serverOf(command.serverId)
        const owner = through.standing === 'live' ? through : (this.#leastLoaded() ?? through)
        if (command.interests.length > 0) this.#notify(owner, undefined)
        return { ok: true, type: 'buyer', buyerId: command.buyerId }
      }
      case 'revoke_tokens':
        return { ok: true, type: 'done' }
      case 'enlist_server':
        return this.#enlist(command.serverId)
      case 'release_server': {
        const server = this.servers.get(command.serverId)
        if (server?.epoch !== command.epoch) return stale
        if (server.standing === 'live') server.standing = 'left'
        return this.#handOver(server, undefined)
      }
      case 'acquire_monitor_lease':
        return this.#acquireLease(command.monitorId, command.ttlMs)
      case 'reassign':
        return this.#reassign(command)
      case 'shift_clock':
        throw new Error('no run shifts house time')
      default:
        return this.#manage(command)
    }
  }

  #notify(owner: ModelServer, lot: ModelLot | undefined, count = 1): void {
    this.#outboxCount += count
    for (let i = 0; i < count; i++) {
      this.#outboxEntriesMade += 1
      this.#outbox.push({ position: this.#outboxEntriesMade, owner, lot })
    }
  }

  #acknowledge(
    { serverId, epoch }: { readonly serverId: string; readonly epoch: number },
    isDone: (outboxEntry: ModelOutboxEntry) => boolean,
  ): Reply {
    const server = this.servers.get(serverId)
    if (server?.epoch !== epoch) return stale
    this.#outbox = this.#outbox.filter((outboxEntry) => outboxEntry.owner !== server || !isDone(outboxEntry))
    return { ok: true, type: 'done' }
  }

  #serverOf(id: string): ModelServer {
    let server = this.servers.get(id)
    if (server === undefined) {
      server = {
        id,
        epoch: this.#epochsGone === 0 ? 0 : this.#epochsGone + 1,
        standing: 'left',
        lastConductedMs: this.#atMs,
        pulseTimeoutMs: 0,
        outageGapMs: 0,
        lots: new Set(),
      }
      this.servers.set(id, server)
    }
    return server
  }

  /** Servers that left or died, and have no work, are forgotten; their epochs are not given again. */
  #dropIdle(): void {
    for (const server of this.servers.values()) {
      if (server.standing === 'live' || server.lots.size > 0) continue
      if (this.#outbox.some(({ owner }) => owner === server)) continue
      this.#epochsGone = Math.max(this.#epochsGone, server.epoch)
      this.servers.delete(server.id)
    }
  }

  // ── Creating ───────────────────────────────────────────────────────────────────────────────────────────

  #create(command: Extract<Command, { type: 'create_auction' }>): Reply {
    const { auctionId } = command
    const { usesHouseIncrements, ...terms } = command.terms
    const ofHouse = usesHouseIncrements === true ? this.#settings.increments?.[terms.currency] : undefined
    if (!areLawful(terms)) return { ok: false, code: 'terms_invalid' }
    const known = this.lots.get(auctionId)
    // A seller who names no table agrees with the one that the auction got.
    const asked = usesHouseIncrements === true ? { ...terms, increments: known?.terms.increments } : terms
    if (known !== undefined)
      return known.seller === command.subject && JSON.stringify(known.terms) === JSON.stringify(asked)
        ? { ok: true, type: 'auction', auctionId, seq: known.seq }
        : { ok: false, code: 'auction_exists' }
    const owner = this.#ownerFor(command.serverId)
    const opensAt = Math.max(terms.opensAtMs ?? 0, this.#atMs)
    const lot: ModelLot = {
      id: auctionId,
      ordinal: this.lots.size + 1,
      twin: twins[terms.format] as Twin,
      seller: command.subject,
      terms: ofHouse === undefined ? terms : { ...terms, increments: ofHouse },
      owner,
      offers: [],
      bidCount: 0,
      price: undefined,
      status: opensAt > this.#atMs ? 'scheduled' : 'open',
      opensAt,
      closesAt: opensAt + terms.durationMs,
      pausedAt: undefined,
      seq: 0,
      softExtensions: 0,
      winner: undefined,
      hammerPrice: undefined,
      acceptedBids: new Map(),
    }
    this.lots.set(auctionId, lot)
    owner.lots.add(lot)
    if (lot.status === 'open') this.#emit(lot, { type: 'auction_opened', closesAt: lot.closesAt })
    this.#notify(owner, lot)
    return { ok: true, type: 'auction', auctionId, seq: lot.seq }
  }

  // ── Bidding ──────────────────────────────────────────────────────────────────────────────────────────

  #shut(lot: ModelLot, subject: string): Reply | undefined {
    if (lot.seller === subject) return { ok: false, code: 'own_auction' }
    if (lot.status === 'open' && this.#atMs < lot.closesAt) return undefined
    const code = lot.status === 'scheduled' || lot.status === 'paused' ? 'auction_not_open' : 'auction_closed'
    return { ok: false, code, closesAt: lot.closesAt, seq: lot.seq }
  }

  #bid(command: Extract<Command, { type: 'place_bid' }>): Reply {
    const { amount, kind, subject } = command
    if (!Number.isSafeInteger(amount) || amount < 0) return { ok: false, code: 'amount_invalid' }
    const lot = this.lots.get(command.auctionId)
    if (lot === undefined) return { ok: false, code: 'auction_not_found' }
    const shut = this.#shut(lot, subject)
    if (shut !== undefined) return shut
    const before = lot.twin.highBid(lot)?.bidder
    const refusal = lot.twin.place(lot, subject, amount, kind)
    if (refusal !== undefined) {
      const askingBid = lot.twin.askingBid(lot)
      return { ok: false, code: refusal as 'bid_too_low', askingBid, seq: lot.seq }
    }
    const reply = this.#accepted(lot, command, amount, kind)
    const highBidder = lot.twin.highBid(lot)?.bidder as string
    const outbid = highBidder === subject ? before : subject
    this.#notify(lot.owner, lot)
    if (outbid !== undefined && outbid !== highBidder) {
      this.#emitPrivate(lot, 'outbid', outbid, lot.price as number, lot.twin.askingBid(lot))
      this.#notify(lot.owner, lot)
    }
    this.#softClose(lot)
    return reply
  }

  #buyNow(command: Extract<Command, { type: 'buy_now' }>): Reply {
    const lot = this.lots.get(command.auctionId)
    if (lot === undefined) return { ok: false, code: 'auction_not_found' }
    const shut = this.#shut(lot, command.subject)
    if (shut !== undefined) return shut
    const price = lot.terms.buyNow
    if (price === undefined || !lot.twin.offersBuyNow(lot))
      return { ok: false, code: 'buy_now_gone', askingBid: lot.twin.askingBid(lot), seq: lot.seq }
    lot.bidCount += 1
    const own = lot.offers.find((offer) => offer.bidder === command.subject)
    if (own === undefined) lot.offers.push({ bidder: command.subject, max: price, reachedAt: lot.bidCount })
    else Object.assign(own, { max: price, reachedAt: lot.bidCount })
    lot.price = price
    const reply = this.#accepted(lot, command, price, 'exact')
    this.#end(lot, { winner: command.subject, price })
    return { ...reply, you: { status: 'won', maxBid: price } } as Reply
  }

  #accepted(
    lot: ModelLot,
    { subject, requestId }: { readonly subject: string; readonly requestId: string },
    amount: number,
    kind: string,
  ): Reply {
    const highBidder = lot.twin.highBid(lot)?.bidder as string
    const askingBid = lot.twin.askingBid(lot)
    this.#emit(lot, {
      type: 'bid_placed',
      price: lot.price,
      askingBid,
      bidCount: lot.bidCount,
      highBidder: alias(lot, highBidder),
      bidder: alias(lot, subject),
      reserve: lot.twin.reserveStatus(lot),
      secret: { bidderId: subject, amount, kind, requestId },
    })
    lot.acceptedBids.set(`${subject} ${requestId}`, { seq: lot.seq, amount })
    const maxBid = lot.offers.find((offer) => offer.bidder === subject)?.max as number
    return {
      ok: true,
      type: 'bid',
      auctionId: lot.id,
      seq: lot.seq,
      price: lot.price as number,
      askingBid,
      you: { status: highBidder === subject ? 'winning' : 'outbid', maxBid },
    } as Reply
  }

  #softClose(lot: ModelLot): void {
    const { softClose } = lot.terms
    if (softClose === undefined || lot.closesAt - this.#atMs > softClose.windowMs) return
    if (softClose.limit !== undefined && lot.softExtensions >= softClose.limit) return
    const closesAt = this.#atMs + softClose.extensionMs
    if (closesAt <= lot.closesAt) return
    lot.softExtensions += 1
    this.#extend(lot, closesAt, 'soft_close')
  }

  // ── Managing ─────────────────────────────────────────────────────────────────────────────────────────

  #manage(
    command: Extract<
      Command,
      {
        type: 'close_auction' | 'cancel_auction' | 'pause_auction' | 'resume_auction' | 'extend_auction'
      }
    >,
  ): Reply {
    const lot = this.lots.get(command.auctionId)
    if (lot === undefined) return { ok: false, code: 'auction_not_found' }
    if (!command.operator && lot.seller !== command.subject) return { ok: false, code: 'not_the_seller' }
    const refused = (code: 'auction_closed' | 'auction_not_open' | 'not_paused' | 'state_changed'): Reply => {
      return { ok: false, code, closesAt: lot.closesAt, seq: lot.seq }
    }
    const { seq = lot.seq, closesAtMs = lot.closesAt } = command.expected ?? {}
    if (seq !== lot.seq || closesAtMs !== lot.closesAt) return refused('state_changed')
    const { status } = lot
    const isPastClose = status === 'open' && this.#atMs >= lot.closesAt
    if (hasEnded(lot)) return refused('auction_closed')
    if (command.type === 'close_auction') {
      if (status === 'scheduled') return refused('auction_not_open')
      this.#end(lot, lot.twin.hammer(lot))
    } else if (command.type === 'resume_auction') {
      if (status !== 'paused') return refused('not_paused')
      lot.closesAt += this.#atMs - (lot.pausedAt as number)
      lot.pausedAt = undefined
      lot.status = 'open'
      this.#emit(lot, { type: 'auction_resumed', closesAt: lot.closesAt })
    } else if (isPastClose) {
      return refused('auction_closed')
    } else if (command.type === 'cancel_auction') {
      lot.status = 'cancelled'
      lot.owner.lots.delete(lot)
      this.#emit(lot, { type: 'auction_cancelled' })
      this.#notify(lot.owner, lot)
    } else if (command.type === 'pause_auction') {
      if (status !== 'open') return refused('auction_not_open')
      lot.pausedAt = this.#atMs
      lot.status = 'paused'
      this.#emit(lot, { type: 'auction_paused' })
    } else {
      if (status === 'scheduled') return refused('auction_not_open')
      this.#extend(lot, lot.closesAt + command.byMs, 'operator')
    }
    return { ok: true, type: 'auction', auctionId: lot.id as never, seq: lot.seq }
  }

  #extend(lot: ModelLot, closesAt: number, reason: string): void {
    lot.closesAt = closesAt
    this.#emit(lot, { type: 'auction_extended', closesAt, reason })
  }

  #end(lot: ModelLot, hammer: { readonly winner: string; readonly price: number } | undefined): void {
    const bidders = lot.offers.map((offer) => offer.bidder)
    lot.owner.lots.delete(lot)
    if (hammer === undefined) {
      lot.status = 'passed'
      this.#emit(lot, { type: 'auction_passed' })
      for (const bidder of bidders) this.#emitPrivate(lot, 'lost', bidder, lot.price ?? 0)
      this.#notify(lot.owner, lot)
      return
    }
    lot.status = 'sold'
    lot.winner = hammer.winner
    lot.hammerPrice = hammer.price
    this.#emit(lot, { type: 'auction_sold', hammerPrice: hammer.price, winner: alias(lot, hammer.winner) })
    for (const bidder of bidders)
      this.#emitPrivate(lot, bidder === hammer.winner ? 'won' : 'lost', bidder, hammer.price)
    this.#notify(lot.owner, lot, 2)
    this.outboxEntries.push(`WON_AUCTION ${lot.id} ${hammer.winner}`)
    for (const bidder of bidders)
      if (bidder !== hammer.winner) this.outboxEntries.push(`END_OF_AUCTION ${lot.id} ${bidder}`)
  }

  // ── Conducting ───────────────────────────────────────────────────────────────────────────────────────

  #conduct(serverId: string, epoch: number): Reply {
    const server = this.servers.get(serverId)
    if (server?.epoch !== epoch) return stale
    const { outageThresholdMs } = this.#settings
    const gapMs = this.#endSilence(server)
    const lots = [...server.lots]
    for (const lot of lots) {
      if (lot.status !== 'scheduled' || lot.opensAt > this.#atMs) continue
      if (this.#atMs - lot.opensAt > outageThresholdMs || lot.closesAt <= this.#atMs)
        lot.closesAt = this.#atMs + lot.terms.durationMs
      lot.status = 'open'
      this.#emit(lot, { type: 'auction_opened', closesAt: lot.closesAt })
    }
    for (const lot of lots) {
      if (lot.status === 'open' && lot.closesAt <= this.#atMs) this.#end(lot, lot.twin.hammer(lot))
    }
    this.#setPulseTimeout(server, gapMs)
    const reply = { ok: true, type: 'conducted', more: false, atMs: this.#atMs } as const
    let nextDueMs = Number.POSITIVE_INFINITY
    for (const lot of lots) {
      if (lot.status === 'open') nextDueMs = Math.min(nextDueMs, lot.closesAt)
      else if (lot.status === 'scheduled') nextDueMs = Math.min(nextDueMs, lot.opensAt)
    }
    return nextDueMs === Number.POSITIVE_INFINITY ? reply : { ...reply, nextDueMs }
  }

  /** Extends the auctions of the server when its silence was an outage. Returns the silence, in ms. */
  #endSilence(server: ModelServer): number {
    const gapMs = this.#atMs - server.lastConductedMs
    if (gapMs > server.pulseTimeoutMs) server.outageGapMs += gapMs
    server.lastConductedMs = this.#atMs
    this.#extendForOutage(server)
    return gapMs
  }

  /** Sets how long a silence may be until it is an outage, after a pulse `gapMs` after the one before. */
  #setPulseTimeout(server: ModelServer, gapMs: number): void {
    const { outageThresholdMs } = this.#settings
    const isNear = [...server.lots].some(
      (lot) => lot.status === 'open' && lot.closesAt <= this.#atMs + nearMs,
    )
    server.pulseTimeoutMs = isNear
      ? Math.min(outageThresholdMs, Math.max(nearThresholdMs, 2 * gapMs))
      : outageThresholdMs
  }

  /** Extends every open auction that closes soon by the lost time; once. */
  #extendForOutage(server: ModelServer): void {
    const gapMs = server.outageGapMs
    server.outageGapMs = 0
    if (gapMs === 0) return
    for (const lot of server.lots) this.#giveBack(lot, gapMs)
  }

  #giveBack(lot: ModelLot, gapMs: number): void {
    const leastMs = this.#atMs + this.#settings.outageExtensionMinMs
    if (lot.status === 'open' && lot.closesAt < leastMs)
      this.#extend(lot, Math.max(lot.closesAt + gapMs, leastMs), 'outage')
  }

  // ── Owners and the monitor ───────────────────────────────────────────────────────────────────────────

  #live(): ModelServer[] {
    return [...this.servers.values()]
      .filter((server) => server.standing === 'live')
      .sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  #leastLoaded(): ModelServer | undefined {
    return this.#live().reduce<ModelServer | undefined>(
      (least, server) => (least === undefined || server.lots.size < least.lots.size ? server : least),
      undefined,
    )
  }

  /** The server that made it, unless that is not live or owns many more auctions than another. */
  #ownerFor(id: string): ModelServer {
    const least = this.#leastLoaded()
    if (least === undefined) return this.#serverOf(id)
    const local = this.servers.get(id)
    if (local?.standing !== 'live') return least
    const slack = Math.max(16, Math.floor(least.lots.size / 4))
    return local.lots.size <= least.lots.size + slack ? local : least
  }

  #enlist(id: string): Reply {
    const server = this.#serverOf(id)
    if (server.lots.size > 0) server.outageGapMs += this.#atMs - server.lastConductedMs
    server.lastConductedMs = this.#atMs
    server.epoch += 1
    server.standing = 'live'
    this.#extendForOutage(server)
    this.#setPulseTimeout(server, 0)
    this.#checks.hold(
      server.epoch > (this.#epochs.get(id) ?? 0),
      'epochs rise',
      () => `${id} enlists under epoch ${server.epoch}, which it had before`,
    )
    this.#epochs.set(id, server.epoch)
    return { ok: true, type: 'server', epoch: server.epoch }
  }

  #acquireLease(monitorId: string, ttlMs: number): Reply {
    const lease = this.#lease
    const isFree = lease.token === 0 || this.#atMs >= lease.untilMs
    if (isFree) {
      lease.monitorId = monitorId
      lease.token += 1
      lease.untilMs = this.#atMs + ttlMs
    } else if (lease.monitorId === monitorId) lease.untilMs = Math.max(lease.untilMs, this.#atMs + ttlMs)
    return { ok: true, type: 'lease', ...lease }
  }

  #reassign(command: Extract<Command, { type: 'reassign' }>): Reply {
    const { monitorId, token, untilMs } = this.#lease
    if (monitorId !== command.monitorId || token !== command.token || this.#atMs >= untilMs) return stale
    const server = this.servers.get(command.serverId)
    if (server === undefined) return stale
    const isLater = server.standing === 'dead' && server.epoch === command.epoch + 1
    if (server.epoch !== command.epoch && !isLater) return stale
    if (server.standing === 'live') {
      server.epoch += 1
      server.standing = 'dead'
    }
    return this.#handOver(server, this.#atMs - server.lastConductedMs)
  }

  /** Its auctions go to the server that owns fewest, the most urgent first; its outbox entries follow them. */
  #handOver(from: ModelServer, gapMs: number | undefined): Reply {
    const has = (): boolean =>
      from.lots.size > 0 || this.#outbox.some((outboxEntry) => outboxEntry.owner === from)
    if (this.#live().length === 0)
      return { ok: true, type: 'reassigned', auctions: 0, outboxEntries: 0, more: false }
    const moving = [...from.lots].sort(byPressure)
    const receivers = new Set<ModelServer>()
    for (const lot of moving) {
      const to = this.#leastLoaded() as ModelServer
      if (!receivers.has(to)) this.#endSilence(to)
      receivers.add(to)
      from.lots.delete(lot)
      to.lots.add(lot)
      lot.owner = to
      if (gapMs !== undefined || from.outageGapMs > 0) this.#giveBack(lot, (gapMs ?? 0) + from.outageGapMs)
    }
    from.outageGapMs = 0
    const receiver = this.#leastLoaded() as ModelServer
    let outboxEntries = 0
    for (const outboxEntry of this.#outbox) {
      if (outboxEntry.owner !== from) continue
      const { lot } = outboxEntry
      const owner = lot && this.servers.get(lot.owner.id)
      outboxEntry.owner = owner?.standing === 'live' ? owner : receiver
      outboxEntries += 1
    }
    this.#outboxCount += outboxEntries
    return { ok: true, type: 'reassigned', auctions: moving.length, outboxEntries, more: has() }
  }

  // ── Events ──────────────────────────────────────────────────────────────────────────────────────────

  #emit(lot: ModelLot, event: Record<string, unknown>): void {
    lot.seq += 1
    this.#events.push({ ...event, auctionId: lot.id, seq: lot.seq, atMs: this.#atMs })
  }

  #emitPrivate(lot: ModelLot, type: string, bidderId: string, price: number, askingBid?: number): void {
    this.#events.push({ type, auctionId: lot.id, seq: lot.seq, atMs: this.#atMs, bidderId, price, askingBid })
  }
}

const stale: Reply = { ok: false, code: 'stale_epoch' }

/** Open auctions by their close, then scheduled ones by their opening, then paused ones. */
function byPressure(a: ModelLot, b: ModelLot): number {
  const rank = ({ status }: ModelLot): number => (status === 'open' ? 0 : status === 'scheduled' ? 1 : 2)
  if (rank(a) !== rank(b)) return rank(a) - rank(b)
  const due = (lot: ModelLot): number =>
    lot.status === 'open' ? lot.closesAt : lot.status === 'scheduled' ? lot.opensAt : 0
  return due(a) - due(b) || a.ordinal - b.ordinal
}

function requestOf(command: RequestedCommand): RequestOf {
  const { subject, requestId } = command
  return {
    subject,
    requestId,
    content: JSON.stringify({ ...command, ageMs: undefined, expected: undefined }),
  }
}

/** Where the last accepted request is kept for ever. */
function placeOf(command: RequestedCommand): string | undefined {
  switch (command.type) {
    case 'place_bid':
    case 'buy_now':
      return `bidder ${command.auctionId} ${command.subject}`
    case 'register_buyer':
      return `buyer ${command.buyerId}`
    case 'create_auction':
      return undefined
    default:
      return `managed ${command.auctionId}`
  }
}

export function hasEnded({ status }: Pick<ModelLot, 'status'>): boolean {
  return status === 'sold' || status === 'passed' || status === 'cancelled'
}

function alias(lot: ModelLot, bidder: string): string {
  return `bidder-${lot.offers.findIndex((offer) => offer.bidder === bidder) + 1}`
}

/** Without the epoch, which only says to whose history an event belongs. */
function canonical({ epoch: _, ...event }: PublicEvent | PrivateEvent): ReportedEvent {
  return event as unknown as ReportedEvent
}

function byPlace(a: ReportedEvent, b: ReportedEvent): number {
  if (a.auctionId !== b.auctionId) return a.auctionId < b.auctionId ? -1 : 1
  if (a.seq !== b.seq) return a.seq - b.seq
  const [one, other] = [a, b].map((event) => `${event['bidderId'] ?? ''}`) as [string, string]
  return one === other ? 0 : one < other ? -1 : 1
}

/** Checks only what the workload gets wrong on purpose. */
function areSettingsLawful({
  outageExtensionMinMs,
  outageThresholdMs,
  increments = {},
}: HouseSettings): boolean {
  const steps = Object.values(increments).flatMap((table) => table.map(({ step }) => step))
  return outageExtensionMinMs >= 1 && outageThresholdMs >= 1 && steps.every((step) => step >= 1)
}

function areLawful(terms: AuctionTerms): boolean {
  const { openingBid, reserve, buyNow, durationMs } = terms
  if (!Number.isSafeInteger(openingBid) || openingBid < 0 || durationMs < 1) return false
  return buyNow === undefined || (buyNow >= (reserve ?? 0) && buyNow >= openingBid)
}
