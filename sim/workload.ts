/**
 * What sellers, bidders and operators do, and how they judge the answers.
 *
 * Auctions of every format; bids at, near and far from the amounts that matter, most of them near a close; pauses,
 * extensions, closes, cancellations; retries with the same request id through other servers.
 *
 * Invariant: every answer is compared with the ledger; a request refused as not proposed must never be in it.
 * Source: docs/sim.md, "What is drawn".
 */
import type { AuctionId, RequestId, SubjectId } from '../protocol/ids.ts'
import { defaultIncrements } from '../protocol/money.ts'
import type { Random } from '../runtime/random.ts'
import type { ClusterErrorCode } from '../state-cluster/cluster.ts'
import type { AuctionTerms, Command } from '../state-cluster/machine/commands.ts'
import type { Reply } from '../state-cluster/machine/events.ts'
import { knownFeatures } from '../state-cluster/machine/features.ts'
import { formats } from '../state-cluster/machine/formats/registry.ts'
import type { AuctionView } from '../state-cluster/machine/view.ts'
import { hasEnded, type ModelLot } from './auditor.ts'
import { isSame } from './checks.ts'
import { beginningMs } from './clock.ts'
import { requestKey } from './ledger.ts'
import type { RunParts } from './run-parts.ts'
import type { SimServer } from './server.ts'

type ClientCommand = Extract<Command, { requestId: RequestId }>

interface Operation {
  readonly number: number
  readonly client: string
  readonly command: ClientCommand
  /** The newest index that was acknowledged before its first attempt; its own index is higher. */
  readonly floorIndex: number
  attempts: number
  readonly fromMs: number
  /** An attempt may have been proposed. */
  isUncertain: boolean
  /** Attempts without any answer yet. */
  open: number
  reply: Reply | undefined
  isGivenUp: boolean
}

const attemptsMax = 6
/** Auctions that are open or scheduled, at a time. */
const lotsMax = 60
/** How late a copy of a request may arrive, and how many one bidder makes in that time. Source: REQUEST4. */
const requestLifeMs = 60_000
const requestsInLifeMax = 100
const tagLists = [[], ['art'], ['art', 'clock'], ['oak']]

export class Workload {
  readonly #context: RunParts
  readonly #random: Random
  /** Created, and not known to have ended. */
  #lots: string[] = []
  #auctions = 0
  #operations = 0
  #isStopped = false
  /** The newest index that was acknowledged to any client. */
  #ackIndex = 0
  readonly #open = new Set<Operation>()
  /** Requests of which every attempt was refused as not proposed. */
  readonly #refused: Operation[] = []
  readonly accepted: Operation[] = []
  /** Refused by a rule: no copy of it may ever count. */
  readonly denied: Operation[] = []

  constructor(context: RunParts, random: Random) {
    this.#context = context
    this.#random = random
  }

  start(): void {
    const { options } = this.#context
    const { bidsPerSecond, readsPerSecond, auctionsPerMinute, bidders } = options
    for (let bidder = 0; bidder < bidders; bidder += 2) this.#register(bidder)
    for (let made = 0; made < 3; made++) this.#create()
    this.#every(1_000 / bidsPerSecond, () => this.#bid())
    this.#every(60_000 / auctionsPerMinute, () => this.#create())
    this.#every(60_000 / options.managesPerMinute, () => this.#manage())
    this.#every(1_000 / readsPerSecond, () => this.#read())
    this.#every(60_000 / options.rushesPerMinute, () => this.#rush())
    this.#every(60_000 / options.configuresPerMinute, () => this.#configure())
  }

  /** Makes no new requests; those in progress continue. */
  stop(): void {
    this.#isStopped = true
  }

  get openCount(): number {
    return this.#open.size
  }

  /** One more request, to see that the cluster answers. */
  probe(done: () => void): void {
    this.#submit(
      'probe',
      {
        type: 'register_buyer',
        subject: 'probe' as SubjectId,
        requestId: this.#requestId(),
        buyerId: 'probe' as SubjectId,
        name: 'Probe',
        interests: [],
        serverId: this.#server().id,
      },
      done,
    )
  }

  /** Checks that refused requests are not in the log and acknowledged ones are. */
  audit(): void {
    const { checks, ledger } = this.#context
    for (const { command, number } of this.#refused) {
      checks.hold(
        !ledger.answered.has(requestKey(command)),
        'refused means not proposed',
        () => `operation ${number}, ${JSON.stringify(command)}`,
      )
    }
    for (const { command, number, reply } of this.denied) {
      checks.hold(
        ledger.answered.get(requestKey(command))?.reply.ok === false,
        'a retry counts once',
        () =>
          `operation ${number}, ${JSON.stringify(command)} was refused (${JSON.stringify(reply)}) and counted`,
      )
    }
    for (const { command, reply, number } of this.accepted) {
      if (!reply?.ok || reply.type !== 'bid' || !('auctionId' in command)) continue
      const events = ledger.events.get(command.auctionId) ?? []
      const own = events.filter(
        (event) => event.type === 'bid_placed' && event.secret.requestId === command.requestId,
      )
      checks.hold(
        own.length === 1 && own[0]?.seq === reply.seq,
        'acknowledged bids survive',
        () => `operation ${number}, ${JSON.stringify(command)}: ${own.length} events, seq ${own[0]?.seq}`,
      )
    }
  }

  // ── Requests ────────────────────────────────────────────────────────────────────────────────────

  #every(meanMs: number, run: () => void): void {
    if (meanMs === Number.POSITIVE_INFINITY) return
    const again = (): void => {
      this.#context.world.schedule(-Math.log(1 - this.#random.unit()) * meanMs, () => {
        if (this.#isStopped) return
        run()
        again()
      })
    }
    again()
  }

  #requestId(): RequestId {
    return `r${this.#operations + 1}` as RequestId
  }

  #server(): SimServer {
    return this.#random.pick(this.#context.servers.filter((server) => !server.host.endsWith('-double')))
  }

  #register(bidder: number): void {
    const subject = bidderId(bidder)
    this.#submit(subject, {
      type: 'register_buyer',
      subject,
      requestId: this.#requestId(),
      buyerId: subject,
      name: `Buyer ${bidder}`,
      interests: this.#random.pick(tagLists),
      endpoint: 'https://buyer.example/hook',
      serverId: this.#server().id,
    })
  }

  #create(): void {
    if (this.#lots.length >= lotsMax) return
    const random = this.#random
    const subject = (random.chance(0.1) ? bidderId(0) : `seller-${random.below(3)}`) as SubjectId
    this.#auctions += 1
    const auctionId = `lot-${this.#auctions}` as AuctionId
    const requestId = this.#requestId()
    const server = this.#server()
    const command: ClientCommand = {
      type: 'create_auction',
      subject,
      requestId,
      auctionId,
      serverId: server.id,
      terms: this.#terms(),
    }
    this.#submit(subject, command, (reply) => {
      if (reply?.ok) this.#lots.push(auctionId)
    })
  }

  #terms(): AuctionTerms {
    const random = this.#random
    const [least, most] = this.#context.options.durationMs
    const openingBid = random.pick([0, 1, 100, 100, 2_500])
    const reserve = openingBid + random.below(6_000)
    const hasReserve = random.chance(0.3)
    const windowMs = 500 + random.below(5_000)
    const nowMs = beginningMs + Math.round(this.#context.world.elapsedMs)
    return {
      title: `Lot ${this.#auctions}`,
      tags: random.pick(tagLists),
      format: random.pick(formats).name,
      currency: 'EUR',
      openingBid,
      durationMs: random.chance(0.02) ? 0 : least + random.below(most - least),
      ...(random.chance(0.5)
        ? { increments: defaultIncrements('EUR'), usesHouseIncrements: true as const }
        : {
            increments: [
              { from: 0, step: 1 + random.below(90) },
              { from: 1_000, step: 1 + random.below(500) },
            ],
          }),
      ...(random.chance(0.2) ? { opensAtMs: nowMs + random.below(8_000) } : {}),
      ...(hasReserve ? { reserve } : {}),
      ...(random.chance(0.25) ? { buyNow: reserve + random.below(20_000) + 1 } : {}),
      ...(random.chance(0.5)
        ? {
            softClose: {
              windowMs,
              extensionMs: 500 + random.below(5_000),
              ...(random.chance(0.5) ? { limit: random.below(4) } : {}),
            },
          }
        : {}),
    }
  }

  /** An auction to do something with: most often the one that closes next. */
  #lot(): ModelLot | undefined {
    const { lots } = this.#context.auditor
    const random = this.#random
    this.#lots = this.#lots.filter((id) => {
      const lot = lots.get(id)
      // Requests for an ended auction continue for a while.
      return lot === undefined || !hasEnded(lot) || !random.chance(0.02)
    })
    if (this.#lots.length === 0) return undefined
    const some = Array.from({ length: random.chance(0.6) ? 4 : 1 }, () => lots.get(random.pick(this.#lots)))
    const found = some.filter((lot) => lot !== undefined)
    const open = found.filter((lot) => lot.status === 'open')
    const from = open.length > 0 ? open : found
    return from.reduce<ModelLot | undefined>(
      (best, lot) => (best === undefined || lot.closesAt < best.closesAt ? lot : best),
      undefined,
    )
  }

  /** An auction that has ended: no request may change it. */
  #endedLot(): ModelLot | undefined {
    const ended = [...this.#context.auditor.lots.values()].filter(hasEnded)
    return ended.length === 0 ? undefined : this.#random.pick(ended)
  }

  /** Many bids for one auction at the same time. */
  #rush(): void {
    const lot = this.#lot()
    for (let bids = 10 + this.#random.below(40); bids > 0; bids--) this.#bid(lot)
  }

  /** The operator changes the settings of the house, at times to invalid ones, and switches features on. */
  #configure(): void {
    const random = this.#random
    this.#server().receive(
      {
        type: 'configure_house',
        settings: {
          outageExtensionMinMs: random.pick([0, 1_000, 5_000, 9_000]),
          ...random.pick([
            { outageThresholdMs: 700, increments: { EUR: [{ from: 0, step: 70 }] } },
            { outageThresholdMs: 2_000 },
            { outageThresholdMs: 4_000, increments: { EUR: [{ from: 0, step: 130 }] } },
          ]),
        },
        features: knownFeatures.filter(() => random.chance(0.5)),
      },
      () => this.#context.counts.add('configures'),
    )
  }

  #bid(lot = this.#lot()): void {
    const random = this.#random
    if (lot === undefined) return
    const subject = bidderId(random.below(this.#context.options.bidders))
    if (!this.#mayRequest(subject)) return
    const requestId = this.#requestId()
    const auctionId = lot.id as AuctionId
    if (random.chance(0.03)) {
      this.#submit(subject, { type: 'buy_now', subject, requestId, auctionId })
      return
    }
    const kind = random.chance(0.25) ? 'exact' : 'max'
    const amount = this.#amount(lot)
    this.#submit(subject, { type: 'place_bid', subject, requestId, auctionId, amount, kind })
  }

  /** A request is remembered until its subject's bound displaces it: no subject makes so many while a copy may arrive. */
  #mayRequest(subject: string): boolean {
    const nowMs = this.#context.world.elapsedMs
    const recent = (this.#requestedAtMs.get(subject) ?? []).filter((atMs) => atMs > nowMs - requestLifeMs)
    const mayAsk = recent.length < requestsInLifeMax
    if (mayAsk) recent.push(nowMs)
    this.#requestedAtMs.set(subject, recent)
    return mayAsk
  }

  #amount(lot: ModelLot): number {
    const random = this.#random
    const asking = lot.twin.askingBid(lot)
    const highest = lot.twin.highBid(lot)?.max ?? asking
    const base = random.pick([asking, asking, asking, highest, lot.terms.reserve ?? asking])
    const roll = random.unit()
    if (roll < 0.5) return base + random.below(400)
    if (roll < 0.8) return base + random.below(3) - 1
    if (roll < 0.97) return base + random.below(4_000)
    return random.pick([0, 1, -5, 2 ** 53, 1_000_000])
  }

  #manage(): void {
    const random = this.#random
    const lot = random.chance(0.2) ? this.#endedLot() : this.#lot()
    if (lot === undefined) return
    const operator = random.chance(0.3)
    const subject = (operator ? 'operator' : random.chance(0.1) ? bidderId(1) : lot.seller) as SubjectId
    const expected = random.chance(0.5) ? { expected: { closesAtMs: lot.closesAt } } : {}
    const requestId = this.#requestId()
    const base = { subject, requestId, auctionId: lot.id as AuctionId, operator, ...expected }
    const roll = random.unit()
    const command: ClientCommand =
      lot.status === 'paused' && roll < 0.7
        ? { type: 'resume_auction', ...base }
        : roll < 0.3
          ? { type: 'pause_auction', ...base }
          : roll < 0.6
            ? { type: 'extend_auction', ...base, byMs: 1 + random.below(10_000) }
            : roll < 0.75
              ? { type: 'cancel_auction', ...base }
              : roll < 0.95
                ? { type: 'close_auction', ...base }
                : { type: 'resume_auction', ...base }
    this.#submit(subject, command)
  }

  #read(): void {
    const { world, checks, ledger, history, counts, auditor } = this.#context
    const answered = this.#random.chance(0.5) ? auditor.lots.get(this.#lastAnsweredId) : undefined
    const lot = answered ?? this.#lot()
    if (lot === undefined) return
    const server = this.#server()
    const fromMs = world.elapsedMs
    const acknowledged = this.#acknowledgedSeq.get(lot.id) ?? 0
    server.read(lot.id as AuctionId, (view) => {
      const seq = view?.seq ?? 0
      counts.add('reads')
      const known = ledger.events.get(lot.id)?.length ?? 0
      checks.hold(
        seq >= acknowledged && seq <= known,
        'linearizable',
        () =>
          `${server.host} read seq ${seq} of ${lot.id}; ${acknowledged} was acknowledged before, ${known} are committed`,
      )
      const atMs = world.elapsedMs
      history.note({
        type: 'read',
        server: server.host,
        fromMs,
        atMs,
        auctionId: lot.id,
        seq,
        ...(view && { view: shown(view) }),
      })
    })
  }

  /** When each bidder made its recent requests. */
  readonly #requestedAtMs = new Map<string, number[]>()
  /** The auction of the newest answer. */
  #lastAnsweredId = ''
  /** The highest `seq` of each auction in any answer. */
  readonly #acknowledgedSeq = new Map<string, number>()

  // ── Attempts and answers ──────────────────────────────────────────────────────────────────────────────────

  #submit(client: string, command: ClientCommand, done?: (reply: Reply | undefined) => void): void {
    this.#operations += 1
    const operation: Operation = {
      number: this.#operations,
      client,
      command,
      floorIndex: this.#ackIndex,
      attempts: 0,
      fromMs: this.#context.world.elapsedMs,
      isUncertain: false,
      open: 0,
      reply: undefined,
      isGivenUp: false,
    }
    this.#open.add(operation)
    this.#attempt(operation, this.#server(), done)
  }

  #attempt(operation: Operation, server: SimServer, done?: (reply: Reply | undefined) => void): void {
    const { world, network, history, counts } = this.#context
    const random = this.#random
    operation.attempts += 1
    operation.open += 1
    const { number, client, attempts: attempt } = operation
    const ageMs = Math.max(1, Math.ceil(world.elapsedMs - operation.fromMs))
    const command = attempt === 1 ? operation.command : { ...operation.command, ageMs }
    if (attempt > 1) counts.add('retries')
    history.note({
      type: 'invoke',
      op: number,
      attempt,
      client,
      server: server.host,
      atMs: world.elapsedMs,
      command,
    })
    let isOver = false
    const end = (outcome: Reply | ClusterErrorCode | 'timeout'): void => {
      const isLate = isOver
      isOver = true
      if (typeof outcome !== 'string') {
        history.note({ type: 'response', op: number, attempt, atMs: world.elapsedMs, reply: outcome })
        this.#answered(operation, outcome, done)
      }
      if (isLate) return
      operation.open -= 1
      if (typeof outcome === 'string') this.#failed(operation, attempt, outcome, done)
    }
    world.schedule(random.pick([800, 3_000, 8_000]), () => {
      if (!isOver) end('timeout')
    })
    network.carryCall(() => {
      server.receive(command, (outcome) => {
        network.carryCall(() => end(outcome))
      })
    })
  }

  #answered(operation: Operation, reply: Reply, done?: (reply: Reply | undefined) => void): void {
    const { checks, ledger, counts, world } = this.#context
    const { command, number } = operation
    const known = ledger.answered.get(requestKey(command))
    const facts = (): string => `operation ${number}, ${JSON.stringify(command)}: ${JSON.stringify(reply)}`
    checks.hold(known !== undefined, 'acknowledged bids survive', () => `${facts()} is nowhere in the log`)
    if (known === undefined) return
    checks.hold(
      // A creation that is repeated names the auction as it is by then (AUCTION6).
      command.type !== 'create_auction' && (reply.ok || known.reply.ok)
        ? isSame(known.reply, reply) || isUnknown(reply)
        : known.replies.some((one) => isSame(one, reply)),
      'a retry counts once',
      () => `${facts()}, first answered ${JSON.stringify(known.reply)}`,
    )
    if (operation.reply !== undefined) return
    if (isUnknown(reply)) {
      counts.add('outcomes.forgotten')
      this.#open.delete(operation)
      operation.isGivenUp = true
      done?.(undefined)
      return
    }
    checks.hold(
      known.index > operation.floorIndex,
      'linearizable',
      () =>
        `${facts()} is at ${known.index}; ${operation.floorIndex} was acknowledged before it was requested`,
    )
    operation.reply = reply
    this.#ackIndex = Math.max(this.#ackIndex, known.index)
    if ('seq' in reply && reply.seq !== undefined && 'auctionId' in command) {
      this.#lastAnsweredId = command.auctionId
      const before = this.#acknowledgedSeq.get(command.auctionId) ?? 0
      this.#acknowledgedSeq.set(command.auctionId, Math.max(before, reply.seq))
    }
    if (this.#open.delete(operation)) {
      counts.add(reply.ok ? `acknowledged.${command.type}` : `rejected.${reply.code}`)
      if (command.type === 'place_bid' || command.type === 'buy_now')
        counts.add(reply.ok ? 'bids.acknowledged' : 'bids.refused')
      if (reply.ok) this.accepted.push(operation)
      else this.denied.push(operation)
      done?.(reply)
      // Some clients repeat a request although they have the answer, a few so late that it is forgotten.
      if (!this.#isStopped && this.#random.chance(0.05)) {
        const withinMs = this.#random.chance(0.3) ? 90_000 : 5_000
        world.schedule(this.#random.unit() * withinMs, () => {
          if (!this.#isStopped) this.#attempt(operation, this.#server())
        })
      }
    }
  }

  #failed(
    operation: Operation,
    attempt: number,
    code: ClusterErrorCode | 'timeout',
    done?: (reply: Reply | undefined) => void,
  ): void {
    const { world, history, counts } = this.#context
    const random = this.#random
    const isSafe = code === 'unavailable' || code === 'overloaded'
    if (!isSafe) operation.isUncertain = true
    history.note({
      type: isSafe ? 'refused' : 'unknown',
      op: operation.number,
      attempt,
      atMs: world.elapsedMs,
      code,
    })
    if (operation.reply !== undefined || operation.isGivenUp) return
    if (operation.attempts < attemptsMax && random.chance(0.9)) {
      world.schedule(20 + random.unit() * 600 * operation.attempts, () => {
        if (operation.reply === undefined) this.#attempt(operation, this.#server(), done)
      })
      return
    }
    operation.isGivenUp = true
    this.#open.delete(operation)
    const isBid = operation.command.type === 'place_bid' || operation.command.type === 'buy_now'
    if (operation.isUncertain || operation.open > 0) counts.add(isBid ? 'bids.unknown' : 'others.unknown')
    else {
      counts.add(isBid ? 'bids.unavailable' : 'others.unavailable')
      this.#refused.push(operation)
    }
    done?.(undefined)
  }
}

function isUnknown(reply: Reply): boolean {
  return !reply.ok && reply.code === 'outcome_unknown'
}

function shown({ status, price, bidCount }: AuctionView) {
  return { status, bidCount, ...(price !== undefined && { price }) }
}

function bidderId(number: number): SubjectId {
  return `bidder:${number}` as SubjectId
}
