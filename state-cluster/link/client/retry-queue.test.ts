import { describe, expect, it } from 'vitest'
import { ManualClock } from '../../../runtime/clock.ts'
import { systemTiming } from '../../../wire/timing.ts'
import { Fields, unpackTuple } from '../../../wire/tuples.ts'
import type { ClusterErrorCode } from '../../cluster.ts'
import type { Reply } from '../../machine/events.ts'
import { group } from '../../peers/testing/fixtures.ts'
import { placeBid } from '../testing/fake-cluster.ts'
import { decodeReplyBody, encodeProposeDone, type ReplyBody } from '../wire.ts'
import { Leaders } from './leaders.ts'
import type { NodeLink } from './node-link.ts'
import { RetryQueue } from './retry-queue.ts'

const zero = group(0)
const limits = {
  proposalTimeoutMs: 5_000,
  attemptTimeoutMs: 1_500,
  commandsMax: 20_000,
  commandBytesMax: 64 * 2 ** 20,
}
const refusal: Reply = { ok: false, code: 'auction_closed' }

interface Request {
  readonly id: number
  readonly count: number
  readonly answered: (outcome: ReplyBody) => void
}

/** A leader whose disk stalls: it queues `queueMax` commands and answers them when the stall is over. */
class StallingLeader {
  readonly nodeId = 1
  readonly isOpen = true
  readonly sentAtMs: number[] = []
  sent = 0
  isStalled = true
  says: ClusterErrorCode | undefined
  readonly #queue: Request[] = []
  readonly #world: World
  readonly #queueMax: number
  #queued = 0

  constructor(world: World, queueMax: number) {
    this.#world = world
    this.#queueMax = queueMax
  }

  request(encode: (id: number) => Uint8Array, answered: (outcome: ReplyBody) => void): boolean {
    const id = this.sentAtMs.length
    const fields = new Fields(unpackTuple(encode(id)), 'request')
    const count = [
      fields.integer(),
      fields.integer(),
      fields.integer(),
      fields.list(1_000).length,
    ][3] as number
    this.sent += count
    this.sentAtMs.push(this.#world.clock.monotonicMs())
    const request = { id, count, answered }
    if (this.says !== undefined) this.#answer(request, this.says)
    else if (!this.isStalled) this.#answer(request, refusal)
    else if (this.#queued + count > this.#queueMax) this.#answer(request, 'overloaded')
    else {
      this.#queued += count
      this.#queue.push(request)
    }
    return true
  }

  /** The disk works again. */
  recover(): void {
    this.isStalled = false
    this.#queued = 0
    for (const request of this.#queue.splice(0)) this.#answer(request, refusal)
  }

  #answer({ id, count, answered }: Request, outcome: Reply | ClusterErrorCode): void {
    const outcomes = Array.from({ length: count }, () => outcome)
    const body = encodeProposeDone(id, { kind: 'done', index: 1, outcomes })
    this.#world.clock.setTimer(1, () => answered(decodeReplyBody(body)))
  }
}

class World {
  readonly clock = new ManualClock()
  readonly leaders = new Leaders()
  readonly leader: StallingLeader
  readonly queue: RetryQueue
  readonly outcomes = new Map<string, number>()
  readonly counts = { repeat: 0, unknown: 0 }
  #turns: (() => void)[] = []
  #bids = 0

  constructor(queueMax: number) {
    this.leader = new StallingLeader(this, queueMax)
    const timing = {
      ...systemTiming,
      clock: this.clock,
      afterTurn: (run: () => void) => void this.#turns.push(run),
      random: () => 0.5,
    }
    this.queue = new RetryQueue({
      timing,
      limits,
      leaders: this.leaders,
      noteIndex: () => undefined,
      count: (what, count) => {
        this.counts[what] += count
      },
    })
    this.lead(this.leader, 1)
  }

  lead(leader: StallingLeader, term: number): void {
    this.leaders.set(leader as unknown as NodeLink, zero, { leaderId: leader.nodeId, term })
    this.queue.leaderChanged(zero)
  }

  bid(count: number): void {
    const count1 = (outcome: string) => this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1)
    for (let at = 0; at < count; at++) {
      this.queue.propose(zero, placeBid('lot', 'bob', ++this.#bids)).then(
        () => count1('answered'),
        (error) => count1(error.code),
      )
    }
  }

  async run(ms: number): Promise<void> {
    for (let at = 0; at < ms; at++) {
      this.clock.advance(1)
      for (let idle = 0; idle < 3; idle++) {
        for (const turn of this.#turns.splice(0)) turn()
        await Promise.resolve()
      }
    }
  }
}

/** The pauses between the requests from the given one on. */
const pausesOf = (times: readonly number[]) =>
  times.slice(1).map((at, before) => at - (times[before] as number))

describe('commands that wait for a leader', () => {
  it('LINK13: a full leader whose disk stalls for longer than all wait gets few repeats', async () => {
    const world = new World(5_000)
    world.bid(5_000)
    await world.run(5_200)
    expect(Object.fromEntries(world.outcomes)).toEqual({ unknown: 5_000 })
    expect(world.queue.count).toBe(0)
    expect(world.leader.sent).toBeGreaterThan(5_000)
    expect(world.leader.sent).toBeLessThanOrEqual(5_000 + 15_000)
    expect(world.counts.unknown).toBe(5_000)
    expect(world.counts.repeat).toBeGreaterThanOrEqual(world.leader.sent - 5_000)
    const pauses = pausesOf(world.leader.sentAtMs.slice(5))
    expect(pauses).toEqual([...pauses].sort((a, b) => a - b))
    expect(pauses.at(-1)).toBeGreaterThan(300)
  })

  it('LINK13: after a stall of 2 s everything is answered, and nothing is left to send', async () => {
    const world = new World(20_000)
    world.bid(5_000)
    await world.run(2_000)
    expect(world.outcomes.size).toBe(0)
    world.leader.recover()
    await world.run(5)
    expect(Object.fromEntries(world.outcomes)).toEqual({ answered: 5_000 })
    const sent = world.leader.sent
    expect(sent).toBeLessThanOrEqual(5_000 + 2_000)
    world.bid(1_000)
    await world.run(5)
    expect(world.outcomes.get('answered')).toBe(6_000)
    await world.run(5_000)
    expect([world.leader.sent, world.queue.count]).toEqual([sent + 1_000, 0])
  })

  it('LINK13: commands that a leader cannot take are sent again after growing pauses, one batch at a time', async () => {
    const world = new World(0)
    world.leader.says = 'unavailable'
    world.bid(3_000)
    await world.run(2_000)
    const { sentAtMs } = world.leader
    expect(sentAtMs.slice(0, 3)).toEqual([1, 1, 1])
    const pauses = pausesOf(sentAtMs.slice(2))
    expect(pauses.length).toBeLessThan(12)
    expect(pauses).toEqual([...pauses].sort((a, b) => a - b))
    world.leader.says = undefined
    world.leader.isStalled = false
    await world.run(600)
    expect(Object.fromEntries(world.outcomes)).toEqual({ answered: 3_000 })
  })

  it('LINK13: another term or another leader gets everything at once, in the order of the calls', async () => {
    const world = new World(0)
    world.leader.says = 'unavailable'
    world.bid(3_000)
    await world.run(1_000)
    const before = world.leader.sentAtMs.length
    world.leader.says = undefined
    world.leader.isStalled = false
    world.lead(world.leader, 2)
    await world.run(3)
    expect(world.leader.sentAtMs.length - before).toBe(3)
    expect(Object.fromEntries(world.outcomes)).toEqual({ answered: 3_000 })
  })

  it('LINK13: a command that waits for a leader in trouble is unavailable at its deadline, or unknown', async () => {
    const world = new World(0)
    world.leader.says = 'unavailable'
    world.bid(10)
    await world.run(4_900)
    expect(world.outcomes.size).toBe(0)
    await world.run(200)
    expect(Object.fromEntries(world.outcomes)).toEqual({ unavailable: 10 })
  })
})
