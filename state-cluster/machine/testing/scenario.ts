/**
 * Runs scenario files: a line is a command, the lines below are the expected trace.
 *
 * Leaves the comparison to scenarios.test.ts. A line outside the grammar below throws `ScenarioError`.
 *
 * Invariant: the output depends on the lines alone, so a changed rule shows as a changed trace.
 * Source: docs/style.md "Tests".
 */
import type { AuctionId, RequestId, ServerId, SubjectId } from '../../../protocol/ids.ts'
import type { AuctionTerms, BidKind, Command, Expected } from '../commands.ts'
import type { OutboxEntry, PrivateEvent, PublicEvent, Reply, Standing } from '../events.ts'
import type { AuctionView } from '../view.ts'
import { standingOf } from '../views.ts'
import { Sale, startMs, terms } from './sale.ts'

/*
 * at 10s                                   the clock is 10 s after the beginning
 * server s1 · conduct s1 · pulse s1 to 90s     pulse: four times a second until then
 * house threshold=2s least=5s · shift to 20s   (house time, and the clock with it)
 * buyer ann interests=art,clock endpoint=https://…
 * auction a1 opening=1.00 for=60s reserve= buynow= soft=10s/15s/3 opens=5s tags= seller=sam on=s1
 *            steps=0:0.05,1:0.25
 * bid bob 5.00 on a1 · bid bob 5.00 exact on a1 as r7 · buy bob a1     (age=30s: a repeat)
 * close | cancel | pause | resume a1 by sam · extend a1 30s by sam     (by operator: as an operator)
 * pause a1 seq=4 closes=60s                (in that state only)
 * show a1 · stand bob a1 · outbox s1 · published s1 to 4 · restart
 *
 * Amounts are in units with two digits, times in seconds after the beginning (`1.5s`). Lines with # are comments.
 * `auction` and `bid` name a1 when no auction is named.
 */

/** A line of a scenario file is not in the grammar. */
export class ScenarioError extends Error {
  override readonly name = 'ScenarioError'
}

/** Runs a file and returns it with the machine's outputs: blocks of a command, ----, output. */
export function runScenario(text: string): string {
  const runner = new ScenarioRunner()
  const out: string[] = []
  let isOutput = false
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) out.push(line)
    else if (line.trim() === '') {
      if (out.length > 0 && out.at(-1) !== '') out.push('')
      isOutput = false
    } else if (line === '----') isOutput = true
    else if (!isOutput) out.push(line, '----', ...runner.run(line))
  }
  while (out.at(-1) === '') out.pop()
  return `${out.join('\n')}\n`
}

function cents(text: string): number {
  const match = /^(\d+)(?:\.(\d{2}))?$/.exec(text)
  if (match === null) throw new ScenarioError(`not an amount: ${text}`)
  return Number(match[1]) * 100 + Number(match[2] ?? 0)
}

function units(amount: number): string {
  return `${Math.floor(amount / 100)}.${String(amount % 100).padStart(2, '0')}`
}

function millis(text: string): number {
  const match = /^(\d+(?:\.\d+)?)s$/.exec(text)
  if (match === null) throw new ScenarioError(`not a time: ${text}`)
  return Math.round(Number(match[1]) * 1_000)
}

function time(atMs: number): string {
  return `${(atMs - startMs) / 1_000}s`
}

/** The words of a line; those with = are options. */
class Words {
  readonly plain: readonly string[]
  private readonly options = new Map<string, string>()

  constructor(line: string) {
    const words = line.trim().split(/\s+/)
    this.plain = words.filter((word) => !word.includes('='))
    for (const word of words) {
      const at = word.indexOf('=')
      if (at > 0) this.options.set(word.slice(0, at), word.slice(at + 1))
    }
  }

  option(name: string): string | undefined {
    return this.options.get(name)
  }

  /** The word after another one. */
  after(word: string): string | undefined {
    const at = this.plain.indexOf(word)
    return at === -1 ? undefined : this.plain[at + 1]
  }

  at(index: number): string {
    const word = this.plain[index]
    if (word === undefined) throw new ScenarioError(`a word is missing: ${this.plain.join(' ')}`)
    return word
  }
}

class ScenarioRunner {
  private readonly sale = new Sale()
  private readonly epochs = new Map<string, number>()

  run(line: string): string[] {
    const words = new Words(line)
    const { sale } = this
    const verb = words.at(0)
    switch (verb) {
      case 'at':
        sale.atMs = startMs + millis(words.at(1))
        return ['ok']
      case 'restart':
        sale.restart()
        return ['ok']
      case 'show':
        return [showView(sale.view(words.at(1)))]
      case 'stand':
        return [showStanding(standingOf(sale.state, words.at(2) as AuctionId, words.at(1) as SubjectId))]
      case 'outbox':
        return sale.outbox(words.at(1)).map(showOutboxEntry)
      case 'pulse':
        return this.pulse(words.at(1), millis(words.after('to') ?? ''))
      case 'shift':
        return this.shift(startMs + millis(words.after('to') ?? ''))
      default:
        return this.apply(this.command(verb, words))
    }
  }

  private shift(toMs: number): string[] {
    const lines = this.apply({ type: 'shift_clock', toMs })
    this.sale.atMs = toMs
    return lines
  }

  private pulse(server: string, untilMs: number): string[] {
    const mark = this.sale.events.length
    while (this.sale.atMs < startMs + untilMs) {
      this.sale.pass(Math.min(250, startMs + untilMs - this.sale.atMs))
      this.sale.conduct(server, this.epochs.get(server) ?? 0)
    }
    const events = this.sale.events.slice(mark)
    return events.length === 0
      ? ['nothing']
      : events.map((event) => `${time(event.atMs)} ${showEvent(event)}`)
  }

  private apply(command: Command): string[] {
    const { replies, events } = this.sale.apply(command)
    const reply = replies[0] as Reply
    if (reply.ok && reply.type === 'server' && command.type === 'enlist_server')
      this.epochs.set(command.serverId, reply.epoch)
    return [showReply(reply), ...events.map((event) => `  ${showEvent(event)}`)]
  }

  private command(verb: string, words: Words): Command {
    const command = this.fresh(verb, words)
    const age = words.option('age')
    return age === undefined || !('requestId' in command) ? command : { ...command, ageMs: millis(age) }
  }

  private fresh(verb: string, words: Words): Command {
    const requestId = (words.after('as') ?? this.sale.nextRequest()) as RequestId
    const server = (words.option('on') ?? 's1') as ServerId
    switch (verb) {
      case 'server':
        return { type: 'enlist_server', serverId: words.at(1) as ServerId }
      case 'conduct': {
        const serverId = words.at(1) as ServerId
        const epoch = Number(words.option('epoch') ?? this.epochs.get(serverId) ?? 0)
        return { type: 'conduct', serverId, epoch }
      }
      case 'published': {
        const serverId = words.at(1) as ServerId
        const epoch = this.epochs.get(serverId) ?? 0
        const upTo = Number(words.after('to'))
        const waiting = this.sale.outbox(serverId).map(({ position }) => position)
        const positions = waiting.filter((position) => position <= upTo)
        return { type: 'acknowledge_positions', serverId, epoch, positions }
      }
      case 'house': {
        const outageThresholdMs = millis(words.option('threshold') ?? '2s')
        const outageExtensionMinMs = millis(words.option('least') ?? '5s')
        const settings = { outageThresholdMs, outageExtensionMinMs }
        return { type: 'configure_house', settings, features: [] }
      }
      case 'buyer':
        return buyerOf(words, requestId, server)
      case 'auction': {
        const subject = (words.option('seller') ?? 'sam') as SubjectId
        const auctionId = (words.plain[1] ?? 'a1') as AuctionId
        return {
          type: 'create_auction',
          subject,
          requestId,
          auctionId,
          serverId: server,
          terms: termsOf(words),
        }
      }
      case 'bid': {
        const kind: BidKind = words.plain.includes('exact') ? 'exact' : 'max'
        const auctionId = (words.after('on') ?? 'a1') as AuctionId
        const amount = cents(words.at(2))
        return { type: 'place_bid', subject: words.at(1) as SubjectId, requestId, auctionId, amount, kind }
      }
      case 'buy':
        return {
          type: 'buy_now',
          subject: words.at(1) as SubjectId,
          requestId,
          auctionId: words.at(2) as AuctionId,
        }
      default:
        return managing(verb, words, requestId)
    }
  }
}

function expectedOf(words: Words): { expected?: Expected } {
  const seq = words.option('seq')
  const closes = words.option('closes')
  if (seq === undefined && closes === undefined) return {}
  return {
    expected: {
      ...(seq === undefined ? {} : { seq: Number(seq) }),
      ...(closes === undefined ? {} : { closesAtMs: startMs + millis(closes) }),
    },
  }
}

function managing(verb: string, words: Words, requestId: RequestId): Command {
  const by = words.after('by') ?? 'sam'
  const base = {
    subject: by as SubjectId,
    requestId,
    operator: by === 'operator',
    auctionId: words.at(1) as AuctionId,
    ...expectedOf(words),
  }
  switch (verb) {
    case 'close':
      return { type: 'close_auction', ...base }
    case 'cancel':
      return { type: 'cancel_auction', ...base }
    case 'pause':
      return { type: 'pause_auction', ...base }
    case 'resume':
      return { type: 'resume_auction', ...base }
    case 'extend':
      return { type: 'extend_auction', ...base, byMs: millis(words.at(2)) }
    default:
      throw new ScenarioError(`unknown verb: ${verb}`)
  }
}

function buyerOf(words: Words, requestId: RequestId, serverId: ServerId): Command {
  const id = words.at(1) as SubjectId
  const endpoint = words.option('endpoint')
  return {
    type: 'register_buyer',
    subject: id,
    requestId,
    buyerId: id,
    serverId,
    name: id,
    interests: words.option('interests')?.split(',') ?? [],
    ...(endpoint === undefined ? {} : { endpoint }),
  }
}

function termsOf(words: Words): AuctionTerms {
  const of = <T>(name: string, read: (text: string) => T): T | undefined => {
    const text = words.option(name)
    return text === undefined ? undefined : read(text)
  }
  const reserve = of('reserve', cents)
  const buyNow = of('buynow', cents)
  const opens = of('opens', millis)
  const softClose = of('soft', (text) => {
    const [windowMs, extensionMs, limit] = text.split('/')
    const times = { windowMs: millis(windowMs ?? ''), extensionMs: millis(extensionMs ?? '') }
    return limit === undefined ? times : { ...times, limit: Number(limit) }
  })
  const increments = of('steps', (text) =>
    text.split(',').map((band) => {
      const [from, step] = band.split(':')
      return { from: cents(from ?? ''), step: cents(step ?? '') }
    }),
  )
  return {
    ...terms,
    openingBid: of('opening', cents) ?? 100,
    durationMs: of('for', millis) ?? 60_000,
    tags: of('tags', (text) => text.split(',')) ?? [],
    increments: increments ?? terms.increments,
    ...(reserve === undefined ? {} : { reserve }),
    ...(buyNow === undefined ? {} : { buyNow }),
    ...(opens === undefined ? {} : { opensAtMs: startMs + opens }),
    ...(softClose === undefined ? {} : { softClose }),
  }
}

function showReply(reply: Reply): string {
  if (!reply.ok) {
    const asking = reply.askingBid === undefined ? '' : ` asking=${units(reply.askingBid)}`
    const closes = reply.closesAt === undefined ? '' : ` closes=${time(reply.closesAt)}`
    return `refused: ${reply.code}${asking}${closes}`
  }
  switch (reply.type) {
    case 'bid':
      return `accepted #${reply.seq} price=${units(reply.price)} asking=${units(reply.askingBid)} you: ${showStanding(reply.you)}`
    case 'auction':
      return `ok #${reply.seq}`
    case 'buyer':
      return `ok ${reply.buyerId}`
    case 'server':
      return `ok epoch=${reply.epoch}`
    case 'conducted': {
      const next = reply.nextDueMs === undefined ? 'nothing' : time(reply.nextDueMs)
      return `ok next=${next}${reply.more ? ' more' : ''}`
    }
    case 'done':
      return 'ok'
    case 'lease':
      return `ok held by ${reply.monitorId} token=${reply.token} until=${time(reply.untilMs)}`
    case 'reassigned':
      return `ok auctions=${reply.auctions} outboxEntries=${reply.outboxEntries}${reply.more ? ' more' : ''}`
  }
}

function showStanding(standing: Standing): string {
  return standing.maxBid === undefined ? standing.status : `${standing.status} max=${units(standing.maxBid)}`
}

function showEvent(event: PublicEvent | PrivateEvent): string {
  const head = `${event.auctionId}#${event.seq} ${event.type}`
  switch (event.type) {
    case 'bid_placed':
      return `${head} ${event.bidder}: price=${units(event.price)} asking=${units(event.askingBid)} high=${event.highBidder} bids=${event.bidCount} reserve=${event.reserve}`
    case 'auction_opened':
    case 'auction_resumed':
      return `${head} closes=${time(event.closesAt)}`
    case 'auction_extended':
      return `${head} closes=${time(event.closesAt)} reason=${event.reason}`
    case 'auction_sold':
      return `${head} hammer=${units(event.hammerPrice)} winner=${event.winner}`
    case 'auction_paused':
    case 'auction_passed':
    case 'auction_cancelled':
      return head
    case 'outbid':
      return `${head} → ${event.bidderId} price=${units(event.price)} asking=${units(event.askingBid ?? 0)}`
    case 'won':
    case 'lost':
      return `${head} → ${event.bidderId} price=${units(event.price)}`
  }
}

function showView(view: AuctionView): string {
  const parts = [
    view.status,
    `price=${view.price === undefined ? 'none' : units(view.price)}`,
    `asking=${units(view.askingBid)}`,
    `bids=${view.bidCount}`,
    `high=${view.highBidder ?? 'none'}`,
    `reserve=${view.reserve}`,
    `closes=${time(view.closesAt)}`,
    `extensions=${view.extensions}`,
    `seq=${view.seq}`,
  ]
  if (view.buyNow !== undefined) parts.push(`buynow=${units(view.buyNow)}`)
  if (view.hammerPrice !== undefined) parts.push(`hammer=${units(view.hammerPrice)}`)
  if (view.winner !== undefined) parts.push(`winner=${view.winner}`)
  return parts.join(' ')
}

function showOutboxEntry(outboxEntry: OutboxEntry): string {
  const about = outboxEntry.auctionId === undefined ? '' : ` ${outboxEntry.auctionId}#${outboxEntry.seq}`
  const to = outboxEntry.recipient === undefined ? '' : ` → ${outboxEntry.recipient}`
  const price = outboxEntry.price === undefined ? '' : ` price=${units(outboxEntry.price)}`
  return `${outboxEntry.position} ${outboxEntry.kind}${about}${to}${price}`
}
