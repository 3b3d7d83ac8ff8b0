import { afterEach, describe, expect, test } from 'vitest'
import type { AuctionId, GroupId, RequestId, ServerId, SubjectId } from '../../protocol/ids.ts'
import type { NotificationMessage } from '../../protocol/notifications.ts'
import { ManualClock } from '../../runtime/clock.ts'
import { silentLogger } from '../../runtime/logger.ts'
import type { Command, Reply } from '../../state-cluster/index.ts'
import { MemoryCluster } from '../testing/memory-cluster.ts'
import { Publisher } from './publisher.ts'

const groupId = 0 as GroupId
const serverId = 'server-1' as ServerId

class Bench {
  readonly clock = new ManualClock()
  readonly cluster = new MemoryCluster(this.clock)
  readonly faults: unknown[] = []
  /** Messages that were handed over, in order. */
  readonly published: NotificationMessage[] = []
  /** Decides about each message; may fail or wait. */
  accept: (message: NotificationMessage) => Promise<void> | void = () => undefined
  underWay = 0
  underWayMax = 0
  epoch: number | undefined
  publisher: Publisher
  #requests = 0

  constructor(windowMax = 100) {
    this.publisher = this.start(windowMax)
  }

  start(windowMax = 100): Publisher {
    const publisher = new Publisher({
      cluster: this.cluster,
      clock: this.clock,
      random: () => 1,
      logger: silentLogger,
      metrics: { notifications: { add: () => undefined }, notificationFailures: { add: () => undefined } },
      sink: {
        publish: async (messages) => {
          this.underWay += 1
          this.underWayMax = Math.max(this.underWayMax, this.underWay)
          try {
            for (const message of messages) {
              await this.accept(message)
              this.published.push(message)
            }
          } finally {
            this.underWay -= 1
          }
        },
      },
      serverId,
      groupId,
      windowMax,
      epoch: () => this.epoch,
      fault: (error) => this.faults.push(error),
    })
    this.cluster.subscribe(groupId, (batch) => {
      if (batch.hasOutboxEntries) publisher.wake()
    })
    return publisher
  }

  async register(): Promise<void> {
    const reply = await this.cluster.propose(groupId, { type: 'enlist_server', serverId })
    if (reply.ok && reply.type === 'server') this.epoch = reply.epoch
  }

  request(): RequestId {
    this.#requests += 1
    return `r${this.#requests}` as RequestId
  }

  propose(command: Command): Promise<Reply> {
    return this.cluster.propose(groupId, command)
  }

  buyer(id: string, interests: readonly string[], endpoint?: string): Promise<Reply> {
    return this.propose({
      type: 'register_buyer',
      subject: id as SubjectId,
      requestId: this.request(),
      buyerId: id as SubjectId,
      name: id,
      interests,
      serverId,
      ...(endpoint === undefined ? {} : { endpoint }),
    })
  }

  create(name: string, tags: readonly string[], reserve?: number): Promise<Reply> {
    return this.propose({
      type: 'create_auction',
      subject: 'seller' as SubjectId,
      requestId: this.request(),
      auctionId: name as AuctionId,
      serverId,
      terms: {
        title: name,
        tags,
        format: 'english',
        currency: 'USD',
        openingBid: 1,
        durationMs: 1_000_000,
        increments: [{ from: 0, step: 1 }],
        ...(reserve === undefined ? {} : { reserve }),
      },
    })
  }

  bid(auctionId: string, subject: string, amount: number): Promise<Reply> {
    return this.propose({
      type: 'place_bid',
      subject: subject as SubjectId,
      requestId: this.request(),
      auctionId: auctionId as AuctionId,
      amount,
      kind: 'max',
    })
  }

  end(type: 'close_auction' | 'cancel_auction', auctionId: string): Promise<Reply> {
    const subject = 'seller' as SubjectId
    return this.propose({
      type,
      subject,
      requestId: this.request(),
      auctionId: auctionId as AuctionId,
      operator: true,
    })
  }

  /** Runs until the outbox is empty, and advances the time for waits. */
  async drain(): Promise<void> {
    await this.until(() => this.outbox() === 0)
  }

  outbox(): number {
    return this.cluster.status().groups[0]?.outboxLength ?? 0
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise((resolve) => setImmediate(resolve))
      this.clock.advance(10)
    }
  }

  async settle(): Promise<void> {
    for (let round = 0; round < 20; round += 1) await new Promise((resolve) => setImmediate(resolve))
  }

  /** The published messages as "KIND recipient", in order. */
  messages(): string[] {
    return this.published.map(({ recipient, event }) => `${event.data.kind} ${recipient}`)
  }
}

let bench: Bench
afterEach(async () => {
  const stopping = bench.publisher.stop()
  await bench.settle()
  await stopping
  expect(bench.faults).toEqual([])
})

describe('the publisher', () => {
  test('PUBLISH1 each kind goes to its recipients, with the public view and nothing secret', async () => {
    bench = new Bench()
    await bench.register()
    bench.publisher.start()
    await bench.create('early', ['clocks'])
    await bench.drain()
    await bench.buyer('ann', ['clocks', 'maps'], 'https://ann.example/hook')
    await bench.buyer('bob', ['maps'])
    await bench.buyer('cleo', [])
    await bench.drain()
    await bench.create('lot', ['maps'], 7_654_321)
    await bench.drain()
    expect(bench.messages()).toEqual(['MATCHING_AUCTIONS ann', 'NEW_AUCTION ann', 'NEW_AUCTION bob'])
    const [matching] = bench.published
    expect(matching?.event.data.auctions?.map(({ id }) => id)).toEqual(['early'])
    expect(matching).toMatchObject({ endpoint: 'https://ann.example/hook', recipient: 'ann' })

    bench.published.length = 0
    await bench.bid('lot', 'ann', 5_000_000)
    await bench.bid('lot', 'bob', 9_000_000)
    await bench.drain()
    expect(bench.messages().sort()).toEqual(['NEW_BID ann', 'NEW_BID bob', 'OUTBID ann'])
    expect(bench.messages().indexOf('NEW_BID ann')).toBeLessThan(bench.messages().indexOf('OUTBID ann'))
    expect(JSON.stringify(bench.published)).not.toContain('9000000')

    bench.published.length = 0
    await bench.end('close_auction', 'lot')
    await bench.drain()
    expect(bench.messages().sort()).toEqual(['END_OF_AUCTION ann', 'WON_AUCTION bob'])
    const won = bench.published.find(({ event }) => event.data.kind === 'WON_AUCTION')
    expect(won?.event).toMatchObject({
      specversion: '1.0',
      type: 'martillo.won_auction.v1',
      subject: 'lot',
      data: { price: 7_654_321, auction: { status: 'sold', winner: 'bidder-2' } },
    })

    bench.published.length = 0
    await bench.bid('early', 'ann', 10)
    await bench.bid('early', 'stranger', 20)
    await bench.end('cancel_auction', 'early')
    await bench.drain()
    expect(
      bench
        .messages()
        .filter((text) => text.startsWith('CANCELED'))
        .sort(),
    ).toEqual(['CANCELED_AUCTION ann', 'CANCELED_AUCTION stranger'])
    const ids = bench.published.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(bench.published.every(({ id, event }) => id === event.id && id.startsWith('0-'))).toBe(true)
  })

  test('PUBLISH2 nothing is acknowledged before the queue has it: after a stop the same messages come again', async () => {
    bench = new Bench()
    await bench.register()
    await bench.buyer('ann', ['maps'])
    for (let at = 0; at < 10; at += 1) await bench.create(`lot-${at}`, ['maps'])
    let letGo = (): void => undefined
    const gate = new Promise<void>((resolve) => {
      letGo = resolve
    })
    const seen: string[] = []
    bench.accept = (message) => {
      seen.push(message.id)
      return seen.length > 4 ? gate : undefined
    }
    bench.publisher.start()
    await bench.until(() => seen.length === 5)
    await bench.settle()
    // The queue has four of the messages: ten new auctions and the match for the new buyer.
    expect(bench.outbox()).toBe(11 - 4)
    const stopping = bench.publisher.stop()
    letGo()
    await stopping
    await bench.settle()
    bench.accept = () => undefined
    bench.published.length = 0
    bench.publisher = bench.start()
    bench.publisher.start()
    await bench.drain()
    expect(bench.published[0]?.id).toBe(seen[4])
    expect(bench.published).toHaveLength(7)
  })

  test("PUBLISH3 a recipient's messages keep their order; a slow recipient does not delay the others", async () => {
    bench = new Bench(50)
    await bench.register()
    await bench.buyer('slow', ['maps'])
    await bench.buyer('quick', ['maps'])
    let letGo = (): void => undefined
    const gate = new Promise<void>((resolve) => {
      letGo = resolve
    })
    bench.accept = ({ recipient }) => (recipient === 'slow' ? gate : undefined)
    bench.publisher.start()
    for (let at = 0; at < 20; at += 1) await bench.create(`lot-${at}`, ['maps'])
    const lots = (who: string) =>
      bench.published.filter(({ recipient }) => recipient === who).map(({ event }) => event.subject)
    await bench.until(() => lots('quick').length === 20)
    expect(lots('slow')).toEqual([])
    expect(bench.underWayMax).toBeLessThanOrEqual(2)
    letGo()
    await bench.drain()
    const inOrder = Array.from({ length: 20 }, (_, at) => `lot-${at}`)
    expect(lots('slow')).toEqual(inOrder)
    expect(lots('quick')).toEqual(inOrder)
  })

  test('PUBLISH4 a message that the queue does not take is offered again, in order, until it does', async () => {
    bench = new Bench()
    await bench.register()
    await bench.buyer('ann', ['maps'])
    let failures = 0
    bench.accept = () => {
      failures += 1
      if (failures % 3 !== 0) throw new Error('queue away')
    }
    bench.publisher.start()
    for (let at = 0; at < 10; at += 1) await bench.create(`lot-${at}`, ['maps'])
    await bench.drain()
    expect(bench.published.map(({ event }) => event.subject)).toEqual(
      Array.from({ length: 10 }, (_, at) => `lot-${at}`),
    )
    expect(failures).toBe(30)
  })

  test('PUBLISH5 at most the window is in progress, however many recipients there are', async () => {
    bench = new Bench(7)
    await bench.register()
    await Promise.all(Array.from({ length: 600 }, (_, at) => bench.buyer(`buyer-${at}`, ['maps'])))
    bench.publisher.start()
    await bench.drain()
    bench.accept = () => new Promise((resolve) => setImmediate(resolve))
    await bench.create('lot', ['maps'])
    await bench.drain()
    expect(bench.published).toHaveLength(600)
    expect(new Set(bench.published.map(({ recipient }) => recipient)).size).toBe(600)
    expect(bench.underWayMax).toBe(7)
  })

  test('PUBLISH7 a page of outbox entries reads each of its auctions and buyers once, all at the same time', async () => {
    bench = new Bench()
    await bench.register()
    const buyers = ['a', 'b', 'c']
    await Promise.all(buyers.map((id) => bench.buyer(id, [])))
    await bench.create('lot', [])
    for (let at = 0; at < 30; at += 1) await bench.bid('lot', buyers[at % 3] as string, 1_000 * (at + 1))
    const asked = { auction: 0, buyer: 0 }
    let inFlight = 0
    let inFlightMax = 0
    for (const name of ['auction', 'buyer'] as const) {
      const ask = bench.cluster[name].bind(bench.cluster) as (id: never) => Promise<never>
      bench.cluster[name] = (async (id: never) => {
        asked[name] += 1
        inFlight += 1
        inFlightMax = Math.max(inFlightMax, inFlight)
        await new Promise((resolve) => setImmediate(resolve))
        inFlight -= 1
        return ask(id)
      }) as never
    }
    bench.publisher.start()
    await bench.drain()
    expect(bench.messages().filter((text) => text.startsWith('NEW_BID'))).toHaveLength(30)
    expect(asked).toEqual({ auction: 1, buyer: 3 })
    expect(inFlightMax).toBe(4)
  })

  test('PUBLISH6 without an epoch, or while the cluster is away, nothing is lost and nothing is acknowledged', async () => {
    bench = new Bench()
    await bench.cluster.propose(groupId, { type: 'enlist_server', serverId })
    await bench.buyer('ann', ['maps'])
    bench.publisher.start()
    await bench.create('lot', ['maps'])
    await bench.settle()
    expect(bench.published).toEqual([])
    bench.epoch = 99
    await bench.until(() => bench.published.length === 2)
    await bench.settle()
    expect(bench.outbox()).toBe(2)
    bench.cluster.failure = 'unavailable'
    bench.epoch = 1
    for (let round = 0; round < 50; round += 1) {
      await bench.settle()
      bench.clock.advance(100)
    }
    expect(bench.outbox()).toBe(2)
    bench.cluster.failure = undefined
    await bench.drain()
    expect(bench.messages()).toEqual(['MATCHING_AUCTIONS ann', 'NEW_AUCTION ann'])
  })

  test('PUBLISH6 all bidders beyond a page get the end, and the winner is not among the losers', async () => {
    bench = new Bench()
    await bench.register()
    await bench.create('lot', [])
    for (let at = 0; at < 600; at += 1) await bench.bid('lot', `bidder-${at}`, 10 + at)
    await bench.end('close_auction', 'lot')
    bench.publisher.start()
    await bench.drain()
    const ended = bench.published.filter(({ event }) => event.data.kind === 'END_OF_AUCTION')
    expect(new Set(ended.map(({ recipient }) => recipient)).size).toBe(599)
    expect(ended).toHaveLength(599)
    expect(ended.some(({ recipient }) => recipient === 'bidder-599')).toBe(false)
  })
})
