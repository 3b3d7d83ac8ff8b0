/**
 * Judges a history file with no knowledge but docs/sim.md, "The history file".
 *
 * It decides whether the answers that clients received can have happened in the order of the log, in real time.
 *
 * Invariant: it imports nothing of the code under test, nor of the simulator, and returns all it finds as sentences.
 */
import { isDeepStrictEqual } from 'node:util'

type Line = Record<string, unknown> & { readonly type: string }
type Answer = Record<string, unknown> & { readonly ok: boolean }

/** One request of a client, over all of its attempts. */
interface Operation {
  readonly op: number
  readonly key: string
  readonly fromMs: number
  /** Of the first response; infinite: the outcome is not known. */
  untilMs: number
  readonly replies: Answer[]
  readonly refusals: Set<number>
  attempts: number
}

/** Where the log has a request: where it was accepted, or else for the first time. */
interface Place {
  readonly index: number
  /** In all the log, so that two commands of one entry have an order too. */
  readonly position: number
  readonly reply: Answer
  /** Everywhere. */
  readonly replies: readonly Answer[]
}

interface Event {
  readonly seq: number
  readonly type: string
  readonly requestId: string | undefined
  readonly price: number | undefined
}

class Checker {
  readonly found: string[] = []
  readonly #operations = new Map<number, Operation>()
  readonly #places = new Map<string, Place>()
  readonly #events = new Map<string, Event[]>()
  readonly #reads: Line[] = []
  /** Accepted bids as the log has them, by auction: request and seq. */
  readonly #bids = new Map<string, Map<string, number>>()
  #position = 0
  #lastIndex = 0
  #lastStamp = 0

  take(line: Line): void {
    if (line.type === 'invoke') this.#invoke(line)
    else if (line.type === 'response') this.#response(line)
    else if (line.type === 'refused') this.#operation(line).refusals.add(line['attempt'] as number)
    else if (line.type === 'read') this.#reads.push(line)
    else if (line.type === 'entry') this.#entry(line)
  }

  judge(): void {
    this.#judgeOperations()
    this.#judgeRealTime()
    this.#judgeAuctions()
    this.#judgeReads()
  }

  #invoke({ op, attempt, atMs, command }: Line): void {
    const known = this.#operations.get(op as number)
    if (known !== undefined) {
      known.attempts = attempt as number
      return
    }
    this.#operations.set(op as number, {
      op: op as number,
      key: keyOf(command as Line),
      fromMs: atMs as number,
      untilMs: Number.POSITIVE_INFINITY,
      replies: [],
      refusals: new Set(),
      attempts: attempt as number,
    })
  }

  #response(line: Line): void {
    const operation = this.#operation(line)
    operation.untilMs = Math.min(operation.untilMs, line['atMs'] as number)
    operation.replies.push(line['reply'] as Answer)
  }

  #operation({ op }: Line): Operation {
    const operation = this.#operations.get(op as number)
    if (operation === undefined) throw new Error(`operation ${op} has no invocation`)
    return operation
  }

  #entry({ index, atMs, commands, replies, events }: Line): void {
    if ((index as number) <= this.#lastIndex) this.found.push(`entry ${index} is out of order`)
    if ((atMs as number) < this.#lastStamp) this.found.push(`entry ${index} is stamped before the last one`)
    this.#lastIndex = index as number
    this.#lastStamp = atMs as number
    for (const [at, command] of (commands as Line[]).entries()) {
      const reply = (replies as Answer[])[at] as Answer
      this.#position += 1
      if (command['requestId'] === undefined) continue
      const key = keyOf(command)
      const first = this.#places.get(key)
      const all = [...(first?.replies ?? []), reply]
      if (first !== undefined && (first.reply.ok || !reply.ok)) {
        if (first.reply.ok && !isLawfulRepeat(command, reply, first.reply))
          this.found.push(`${key} got another answer in entry ${index} than in entry ${first.index}`)
        this.#places.set(key, { ...first, replies: all })
        continue
      }
      this.#places.set(key, { index: index as number, position: this.#position, reply, replies: all })
      if (reply.ok && reply['type'] === 'bid')
        this.#bidsOf(command['auctionId']).set(key, reply['seq'] as number)
    }
    for (const event of events as Line[]) {
      const { seq, type, price, secret } = event as Line & {
        secret?: { requestId: string; bidderId: string }
      }
      const own = this.#events.get(event['auctionId'] as string) ?? []
      this.#events.set(event['auctionId'] as string, own)
      own.push({
        seq: seq as number,
        type,
        requestId: secret === undefined ? undefined : `${secret.bidderId} ${secret.requestId}`,
        price: price as number | undefined,
      })
    }
  }

  #bidsOf(auctionId: unknown): Map<string, number> {
    let bids = this.#bids.get(auctionId as string)
    if (bids === undefined) {
      bids = new Map()
      this.#bids.set(auctionId as string, bids)
    }
    return bids
  }

  /** An answered request is in the log with that answer, whichever attempt it was; a refused one is not. */
  #judgeOperations(): void {
    for (const { op, key, replies, refusals, attempts } of this.#operations.values()) {
      const place = this.#places.get(key)
      for (const reply of replies) {
        if (place === undefined) this.found.push(`operation ${op} was answered and is not in the log`)
        else if (!isAnswerOf(place, reply))
          this.found.push(
            `operation ${op} was answered ${JSON.stringify(reply)}, not ${JSON.stringify(place.reply)}`,
          )
      }
      if (refusals.size === attempts && place !== undefined)
        this.found.push(`operation ${op} was refused ${attempts} times and is in the log`)
    }
  }

  /** A request made after another was answered is after it in the log. */
  #judgeRealTime(): void {
    const ends = this.#placed().filter(({ operation }) => operation.untilMs < Number.POSITIVE_INFINITY)
    ends.sort((a, b) => a.operation.untilMs - b.operation.untilMs)
    const begins = this.#placed().sort((a, b) => a.operation.fromMs - b.operation.fromMs)
    let newest = 0
    let at = 0
    for (const { operation, place } of begins) {
      for (; at < ends.length; at++) {
        const end = ends[at] as (typeof ends)[number]
        if (end.operation.untilMs >= operation.fromMs) break
        newest = Math.max(newest, end.place.position)
      }
      if (place.position <= newest)
        this.found.push(
          `operation ${operation.op} is in the log before one that was answered before it was requested`,
        )
    }
  }

  #placed(): { operation: Operation; place: Place }[] {
    return [...this.#operations.values()].flatMap((operation) => {
      const place = this.#places.get(operation.key)
      return place === undefined ? [] : [{ operation, place }]
    })
  }

  /** Events have no gaps, and each accepted bid is exactly one of them, at the `seq` of its answer. */
  #judgeAuctions(): void {
    for (const [auctionId, events] of this.#events) {
      events.forEach(({ seq }, at) => {
        if (seq !== at + 1) this.found.push(`event ${at + 1} of ${auctionId} has seq ${seq}`)
      })
      const placed = events.filter(({ type }) => type === 'bid_placed')
      const bids = this.#bidsOf(auctionId)
      for (const { seq, requestId } of placed) {
        if (bids.get(requestId ?? '') !== seq)
          this.found.push(`seq ${seq} of ${auctionId} belongs to no accepted bid`)
      }
      if (new Set(placed.map(({ requestId }) => requestId)).size !== placed.length)
        this.found.push(`a bid of ${auctionId} counts twice`)
      for (const [key, seq] of bids) {
        if (!placed.some((event) => event.requestId === key && event.seq === seq))
          this.found.push(`the bid ${key} of ${auctionId} was accepted and is no event`)
      }
    }
  }

  /** A read shows all that was answered before it began, nothing later than it ended, and the state as of its seq. */
  #judgeReads(): void {
    const seen = new Map<string, { untilMs: number; seq: number }[]>()
    const add = (auctionId: unknown, untilMs: number, seq: unknown): void => {
      if (typeof seq !== 'number' || untilMs === Number.POSITIVE_INFINITY) return
      const own = seen.get(auctionId as string) ?? []
      seen.set(auctionId as string, own)
      own.push({ untilMs, seq })
    }
    const later: { auctionId: unknown; fromMs: number; seq: number }[] = []
    for (const { operation, place } of this.#placed()) {
      const { auctionId, seq } = place.reply as { auctionId?: string; seq?: number }
      add(auctionId, operation.untilMs, seq)
      const isOwn = place.reply.ok && place.reply['type'] === 'bid'
      if (isOwn) later.push({ auctionId, fromMs: operation.fromMs, seq: seq as number })
    }
    for (const { auctionId, atMs, seq } of this.#reads) add(auctionId, atMs as number, seq)
    for (const read of this.#reads) {
      const { auctionId, fromMs, atMs } = read
      const seq = read['seq'] as number
      const floor = (seen.get(auctionId as string) ?? [])
        .filter(({ untilMs }) => untilMs < (fromMs as number))
        .reduce((most, one) => Math.max(most, one.seq), 0)
      if (seq < floor)
        this.found.push(`a read of ${auctionId} at ${atMs} shows seq ${seq}, ${floor} was known`)
      if (later.some((bid) => bid.auctionId === auctionId && bid.fromMs > (atMs as number) && bid.seq <= seq))
        this.found.push(`a read of ${auctionId} at ${atMs} shows a bid that was only requested later`)
      this.#judgeView(read, seq)
    }
  }

  #judgeView({ auctionId, view }: Line, seq: number): void {
    const events = (this.#events.get(auctionId as string) ?? []).slice(0, seq)
    const bids = events.filter(({ type }) => type === 'bid_placed')
    const { bidCount, price } = (view ?? { bidCount: 0 }) as { bidCount: number; price?: number }
    if (events.length < seq || bids.length !== bidCount || bids.at(-1)?.price !== price)
      this.found.push(`a read of ${auctionId} shows ${bidCount} bids and ${price} at seq ${seq}`)
  }
}

/** A creation that is repeated names the auction as it is by then. A late copy of a first sending may be refused. */
function isLawfulRepeat(command: Line, reply: Answer, first: Answer): boolean {
  if (reply.ok) return command['type'] === 'create_auction' || isDeepStrictEqual(reply, first)
  return command['ageMs'] === undefined || reply['code'] === 'outcome_unknown'
}

/** An answer is one of the log's; to what was accepted, it is the acceptance, or that the outcome is not known. */
function isAnswerOf({ reply: decided, replies }: Place, reply: Answer): boolean {
  if (!replies.some((one) => isDeepStrictEqual(one, reply))) return false
  return !decided.ok || reply.ok || reply['code'] === 'outcome_unknown'
}

function keyOf({ subject, requestId }: Record<string, unknown>): string {
  return `${subject} ${requestId}`
}

/** What is wrong with a history, given as its lines; empty: it is linearizable. */
export function judge(lines: Iterable<string>): readonly string[] {
  const checker = new Checker()
  for (const line of lines) if (line !== '') checker.take(JSON.parse(line) as Line)
  checker.judge()
  return checker.found
}
