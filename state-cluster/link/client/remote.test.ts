import { once } from 'node:events'
import { connect as netConnect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { AuctionId, GroupId, SubjectId } from '../../../protocol/ids.ts'
import { Acceptor } from '../../../wire/acceptor.ts'
import { frameParts } from '../../../wire/frame.ts'
import { encodeHello } from '../../../wire/handshake.ts'
import { frameKinds } from '../../../wire/kinds.ts'
import type { Address } from '../../../wire/stream.ts'
import { type TcpOptions, tcpDial, tcpListen } from '../../../wire/tcp.ts'
import { helloOf, quickLimits, until } from '../../../wire/testing/fixtures.ts'
import { TcpProxy } from '../../../wire/testing/tcp-proxy.ts'
import { testIdentity } from '../../../wire/testing/tls.ts'
import { systemTiming } from '../../../wire/timing.ts'
import { packTuple } from '../../../wire/tuples.ts'
import type { FeedBatch, FeedGap } from '../../cluster.ts'
import { isPublic, type Reply } from '../../machine/events.ts'
import { group } from '../../peers/testing/fixtures.ts'
import { LinkService, type LinkServiceOptions } from '../service/service.ts'
import {
  createAuction,
  enlistServer,
  FakeCluster,
  type FakeNode,
  placeBid,
  registerBuyer,
} from '../testing/fake-cluster.ts'
import { connectCluster, type RemoteCluster, type RemoteClusterOptions, type RemoteLimits } from './remote.ts'

/** One state node that listens. */
class House {
  readonly node: FakeNode
  readonly service: LinkService
  readonly acceptor: Acceptor
  readonly faults: string[]

  private constructor(node: FakeNode, service: LinkService, acceptor: Acceptor, faults: string[]) {
    this.node = node
    this.service = service
    this.acceptor = acceptor
    this.faults = faults
  }

  static async open(
    node: FakeNode,
    options: {
      service?: Partial<LinkServiceOptions>
      tcp?: TcpOptions
      port?: number
      clusterId?: string
    } = {},
  ): Promise<House> {
    const faults: string[] = []
    const service = new LinkService({
      backend: node,
      timing: systemTiming,
      fault: (_remote, cause) => faults.push(cause.code),
      ...options.service,
    })
    const acceptor = await Acceptor.open({
      listen: tcpListen(options.tcp),
      address: { host: '127.0.0.1', port: options.port ?? 0 },
      timing: systemTiming,
      limits: quickLimits,
      hello: helloOf(
        'node',
        node.nodeId,
        options.clusterId === undefined ? {} : { clusterId: options.clusterId },
      ),
      owners: { link: service },
      connectionsMax: 50,
      failed: (cause) => faults.push(cause.code),
    })
    return new House(node, service, acceptor, faults)
  }

  get address(): Address {
    return this.acceptor.address
  }

  async close(): Promise<void> {
    this.service.close()
    await this.acceptor.close()
  }
}

const opened: { close(): Promise<void> | void }[] = []
afterEach(async () => {
  for (const thing of opened.splice(0).reverse()) await thing.close()
})

function keep<T extends { close(): Promise<void> | void }>(thing: T): T {
  opened.push(thing)
  return thing
}

interface Town {
  readonly cluster: FakeCluster
  readonly houses: House[]
}

async function town(nodes = 3, groups = 1, service: Partial<LinkServiceOptions> = {}): Promise<Town> {
  const cluster = new FakeCluster(nodes, groups)
  const houses: House[] = []
  for (const node of cluster.nodes) houses.push(keep(await House.open(node, { service })))
  return { cluster, houses }
}

async function link(
  nodes: readonly Address[],
  limits: Partial<RemoteLimits> = {},
  options: Partial<RemoteClusterOptions> = {},
): Promise<RemoteCluster> {
  return keep(
    await connectCluster({
      nodes,
      dial: tcpDial(),
      timing: systemTiming,
      instance: 'test',
      limits: { connection: quickLimits, backoff: { baseMs: 5, maxMs: 50 }, statusMs: 50, ...limits },
      ...options,
    }),
  )
}

const addressesOf = ({ houses }: Town) => houses.map((house) => house.address)
const zero = group(0)
const lot = 'lot' as AuctionId
const bob = 'bob' as SubjectId

/** What a feed told, in order. */
class Listener {
  readonly batches: FeedBatch[] = []
  readonly gaps: FeedGap[] = []

  constructor(cluster: RemoteCluster, groupId: GroupId = zero) {
    cluster.subscribe(
      groupId,
      (batch) => this.batches.push(batch),
      (gap) => this.gaps.push(gap),
    )
  }

  /** seq of the public events of an auction. */
  seqs(auctionId: AuctionId = lot): number[] {
    const events = this.batches.flatMap((batch) => batch.events)
    return events
      .filter((event) => event.auctionId === auctionId)
      .filter(isPublic)
      .map((event) => event.seq)
  }
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at)

async function bids(cluster: RemoteCluster, from: number, to: number): Promise<Reply[]> {
  const groupId = cluster.groupOf(lot)
  return Promise.all(
    range(from, to).map((at) => cluster.propose(groupId, placeBid(lot, `bidder-${at % 7}`, at * 20_000))),
  )
}

describe('the cluster link', () => {
  it('LINK1: finds nodes, cluster and groups, and answers every read as the state has it', async () => {
    const here = await town(3, 1)
    const cluster = await link(addressesOf(here))
    expect([cluster.clusterId, cluster.groups]).toEqual(['cluster-1', [0]])
    expect(await cluster.propose(zero, createAuction(lot))).toMatchObject({ ok: true, type: 'auction' })
    expect(await cluster.propose(zero, registerBuyer('eve'))).toMatchObject({ ok: true, type: 'buyer' })
    await bids(cluster, 1, 3)
    const node = here.cluster.node(1)
    expect(await cluster.auction(lot)).toEqual(await node.auction(lot))
    expect(await cluster.auction('none' as AuctionId)).toBeUndefined()
    expect(await cluster.auctions({ limit: 10 })).toEqual(await node.auctions({ limit: 10 }))
    expect(await cluster.auctions({ limit: 10, status: 'sold', tag: 'x' })).toEqual({ auctions: [] })
    const bidder = 'bidder-3' as SubjectId
    expect(await cluster.standing(lot, bidder)).toEqual(await node.standing(lot, bidder))
    expect(await cluster.events(lot, 0, 100)).toEqual(await node.events(lot, 0, 100))
    expect((await cluster.events(lot, 0, 100)).length).toBeGreaterThan(2)
    expect(await cluster.eventsSince(lot, { epoch: 1, seq: 1 }, 100)).toEqual(
      await cluster.events(lot, 1, 100),
    )
    expect(await cluster.eventsSince(lot, { epoch: 1, seq: 999 }, 100)).toBeUndefined()
    expect(await cluster.bidders(lot, 0, 10)).toEqual(await node.bidders(lot, 0, 10))
    expect(await cluster.interestedBuyers(['clocks'], undefined, 5)).toMatchObject([{ id: 'eve' }])
    expect(await cluster.buyer('eve' as SubjectId)).toMatchObject({ name: 'Buyer eve' })
    expect(await cluster.buyer(bob)).toBeUndefined()
    const server = 'server-1' as never
    expect((await cluster.outbox(zero, server, 0, 100)).length).toBeGreaterThan(0)
    expect(await cluster.outbox(zero, server, 0, 100)).toEqual(await node.outbox(zero, server, 0, 100))
    await until(() => cluster.status().groups[0]?.auctions === 1)
    expect(cluster.status()).toMatchObject({ ready: true, groups: [{ groupId: 0, ready: true }] })
  })

  it('LINK3: a client of another cluster is refused; one that finds nobody is told why', async () => {
    const here = await town(1)
    const wrong = link(addressesOf(here), { startTimeoutMs: 300 }, { clusterId: 'cluster-2' })
    await expect(wrong).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('wrong_cluster'),
    })
    const closed = { host: '127.0.0.1', port: here.houses[0]?.address.port as number }
    await here.houses[0]?.close()
    await expect(link([closed], { startTimeoutMs: 200 })).rejects.toMatchObject({ code: 'unavailable' })
  })

  it('LINK3: with mutual TLS the link works, and a stranger does not get in', async () => {
    const fake = new FakeCluster(1)
    const tcp = { tls: testIdentity('node') }
    const house = keep(await House.open(fake.node(1), { tcp }))
    const cluster = await link([house.address], {}, { dial: tcpDial(tcp) })
    expect(await cluster.propose(zero, createAuction(lot))).toMatchObject({ ok: true })
    const stranger = link(
      [house.address],
      { startTimeoutMs: 200 },
      { dial: tcpDial({ tls: testIdentity('intruder') }) },
    )
    await expect(stranger).rejects.toMatchObject({ code: 'unavailable' })
    await expect(link([house.address], { startTimeoutMs: 200 })).rejects.toMatchObject({
      code: 'unavailable',
    })
  })

  it('LINK5: commands of one turn travel as one batch per group, in order, each with its own reply', async () => {
    const here = await town(1, 3)
    const cluster = await link(addressesOf(here))
    const ids = range(1, 60).map((at) => `auction-${at}`)
    const replies = await Promise.all(
      ids.map((id) => cluster.propose(cluster.groupOf(id as AuctionId), createAuction(id))),
    )
    expect(replies.map((reply) => reply.ok && reply.type === 'auction' && reply.auctionId)).toEqual(ids)
    expect(here.cluster.node(1).proposals).toBe(3)
    for (const groupId of cluster.groups) {
      const expected = ids.filter((id) => cluster.groupOf(id as AuctionId) === groupId)
      const commands = here.cluster.commandsOf(groupId)
      expect(commands.map((command) => 'auctionId' in command && command.auctionId)).toEqual(expected)
    }
  })

  it('LINK5: more commands than one request may hold go in several, still in order', async () => {
    const here = await town(1)
    const cluster = await link(addressesOf(here))
    const ids = range(1, 2_500).map((at) => `auction-${at}`)
    await Promise.all(ids.map((id) => cluster.propose(zero, createAuction(id))))
    expect(here.cluster.node(1).proposals).toBe(3)
    expect(
      here.cluster.commandsOf(zero).map((command) => 'auctionId' in command && command.auctionId),
    ).toEqual(ids)
    const long = range(1, 12).map((at) => createAuction(`long-${at}`, 'x'.repeat(200_000)))
    for (const reply of await Promise.all(long.map((command) => cluster.propose(zero, command)))) {
      expect(reply).toMatchObject({ ok: false, code: 'terms_invalid' })
    }
    expect(here.cluster.node(1).proposals).toBe(6)
  })

  it('LINK5: proposals follow the leader when it moves, and wait while there is none', async () => {
    const here = await town(3)
    const cluster = await link(addressesOf(here))
    await cluster.propose(zero, createAuction(lot))
    for (const leaderId of [2, 3, 1, 2]) {
      here.cluster.elect(leaderId)
      const before = here.cluster.node(leaderId).proposals
      expect((await bids(cluster, leaderId * 10, leaderId * 10))[0]?.ok).toBeDefined()
      expect(here.cluster.node(leaderId).proposals).toBeGreaterThan(before)
    }
    here.cluster.elect(0)
    const waiting = cluster.propose(zero, placeBid(lot, 'late', 999_000))
    await until(() => !cluster.status().ready)
    here.cluster.elect(3)
    expect(await waiting).toMatchObject({ ok: true })
    expect(
      here.cluster.commandsOf(zero).filter((command) => 'subject' in command && command.subject === 'late')
        .length,
    ).toBe(1)
  })

  it('LINK5: with no leader until the deadline, nothing was proposed and that is what is said', async () => {
    const here = await town(2)
    const cluster = await link(addressesOf(here), { proposalTimeoutMs: 150 })
    here.cluster.elect(0)
    await until(() => !cluster.status().ready)
    await expect(cluster.propose(zero, createAuction(lot))).rejects.toMatchObject({ code: 'unavailable' })
    here.cluster.elect(1)
    here.cluster.node(1).refuses = 'unavailable'
    await expect(cluster.propose(zero, createAuction(lot))).rejects.toMatchObject({ code: 'unavailable' })
    expect(here.cluster.commandsOf(zero)).toEqual([])
  })

  it('LINK6: a leader that dies after it appended: the retry goes to the next one and counts once', async () => {
    const here = await town(3)
    const cluster = await link(addressesOf(here))
    await cluster.propose(zero, createAuction(lot))
    here.cluster.node(1).isMute = true
    const replies = bids(cluster, 5, 9)
    await until(() => here.cluster.commandsOf(zero).length === 6)
    await here.houses[0]?.close()
    here.cluster.elect(2)
    for (const reply of await replies) expect(reply).toMatchObject({ ok: true, type: 'bid' })
    expect(here.cluster.commandsOf(zero).length).toBe(11)
    expect(await cluster.auction(lot)).toMatchObject({ bidCount: 5, price: 180_000 })
  })

  it('LINK6: a leader that is cut off from its peers only: a later leader is preferred at once', async () => {
    const here = await town(3)
    const cluster = await link(addressesOf(here), { attemptTimeoutMs: 60_000, proposalTimeoutMs: 60_000 })
    await cluster.propose(zero, createAuction(lot))
    here.cluster.node(1).cutOff()
    const replies = bids(cluster, 5, 9)
    await until(() => here.cluster.node(1).proposals === 2)
    here.cluster.elect(2)
    for (const reply of await replies) expect(reply).toMatchObject({ ok: true, type: 'bid' })
    expect(await cluster.auction(lot)).toMatchObject({ bidCount: 5 })
  })

  it('LINK6: a reply that does not come is asked for again with the same request id', async () => {
    const here = await town(1)
    const cluster = await link(addressesOf(here), { attemptTimeoutMs: 60 })
    await cluster.propose(zero, createAuction(lot))
    here.cluster.node(1).isMute = true
    const reply = cluster.propose(zero, placeBid(lot, 'bob', 5_000))
    await until(() => here.cluster.commandsOf(zero).length >= 3)
    here.cluster.node(1).isMute = false
    expect(await reply).toMatchObject({ ok: true, type: 'bid', price: 5_000 })
    expect(await cluster.auction(lot)).toMatchObject({ bidCount: 1 })
  })

  it('LINK6: what may not be repeated is reported as unknown, and proposed once', async () => {
    const here = await town(2)
    const cluster = await link(addressesOf(here), { attemptTimeoutMs: 40 })
    here.cluster.node(1).isMute = true
    const registered = cluster.propose(zero, enlistServer)
    const outcome = expect(registered).rejects.toMatchObject({ code: 'unknown', retryable: true })
    await until(() => here.cluster.commandsOf(zero).length === 1)
    await here.houses[0]?.close()
    here.cluster.elect(2)
    await outcome
    expect(here.cluster.commandsOf(zero).length).toBe(1)
  })

  it('LINK6: an outcome that stays unknown until the deadline is said to be so', async () => {
    const here = await town(1)
    const cluster = await link(addressesOf(here), { attemptTimeoutMs: 40, proposalTimeoutMs: 200 })
    here.cluster.node(1).isMute = true
    await expect(cluster.propose(zero, createAuction(lot))).rejects.toMatchObject({ code: 'unknown' })
    here.cluster.node(1).isMute = false
    here.cluster.node(1).refuses = 'unknown'
    await expect(cluster.propose(zero, createAuction('other'))).rejects.toMatchObject({ code: 'unknown' })
  })

  it('LINK6: a command that may have been proposed is never said to be refused for load', async () => {
    const here = await town(1)
    const cluster = await link(addressesOf(here), { attemptTimeoutMs: 40, proposalTimeoutMs: 60_000 })
    here.cluster.node(1).isMute = true
    const reply = cluster.propose(zero, createAuction(lot))
    await until(() => here.cluster.commandsOf(zero).length > 0)
    here.cluster.node(1).refuses = 'overloaded'
    const before = here.cluster.node(1).proposals
    await until(() => here.cluster.node(1).proposals > before + 2)
    here.cluster.node(1).refuses = undefined
    here.cluster.node(1).isMute = false
    expect(await reply).toMatchObject({ ok: true, auctionId: lot })
  })

  it('LINK7: at the bounds, commands and reads are refused as overloaded; the others go through', async () => {
    const here = await town(1)
    const cluster = await link(addressesOf(here), { commandsMax: 100, readsMax: 50, statusMs: 60_000 })
    const proposals = range(1, 150).map((at) => cluster.propose(zero, createAuction(`auction-${at}`)))
    const outcomes = await Promise.allSettled(proposals)
    expect(outcomes.filter((outcome) => outcome.status === 'fulfilled').length).toBe(100)
    expect(outcomes[100]).toMatchObject({
      status: 'rejected',
      reason: { code: 'overloaded', retryable: true },
    })
    const found = await Promise.allSettled(
      range(1, 80).map((at) => cluster.auction(`auction-${at}` as AuctionId)),
    )
    expect(found.filter((outcome) => outcome.status === 'fulfilled').length).toBe(50)
    expect(found[60]).toMatchObject({ reason: { code: 'overloaded' } })
    here.cluster.node(1).refuses = 'overloaded'
    await expect(cluster.propose(zero, createAuction('one-more'))).rejects.toMatchObject({
      code: 'overloaded',
    })
    const bytes = await link(addressesOf(here), { commandBytesMax: 1_000 })
    here.cluster.node(1).refuses = undefined
    const long = await Promise.allSettled(
      range(1, 20).map((at) => bytes.propose(zero, createAuction(`bytes-${at}`))),
    )
    expect(long.some((outcome) => outcome.status === 'rejected')).toBe(true)
    expect(long[0]?.status).toBe('fulfilled')
  })

  it('LINK8: the feed tells every entry once and in order while its node dies and others take over', async () => {
    const here = await town(3)
    const cluster = await link(addressesOf(here))
    const first = new Listener(cluster)
    await cluster.propose(zero, createAuction(lot))
    for (const round of [0, 1, 2, 3, 4, 5]) {
      const at = round % 3
      const house = here.houses[at] as House
      const half = bids(cluster, round * 100 + 1, round * 100 + 20)
      await house.close()
      here.cluster.elect(((at + 1) % 3) + 1)
      await half
      await bids(cluster, round * 100 + 21, round * 100 + 40)
      here.houses[at] = keep(await House.open(house.node, { port: house.address.port }))
    }
    const last = (await here.cluster.node(1).events(lot, 0, 10_000)).length
    await until(() => first.seqs().at(-1) === last)
    expect(first.gaps).toEqual([])
    expect(first.seqs()).toEqual(range(1, last))
    const indexes = first.batches.map((batch) => batch.index)
    expect(indexes).toEqual([...new Set(indexes)].sort((a, b) => a - b))
  })

  it('LINK8: a node that no longer has what was missed says so, once, and the feed goes on behind it', async () => {
    const here = await town(2, 1, { feedBytesMax: 2_000 })
    const proxies = [
      keep(await TcpProxy.open((here.houses[0] as House).address)),
      keep(await TcpProxy.open((here.houses[1] as House).address)),
    ]
    const watcher = await link(proxies.map((proxy) => proxy.address))
    const writer = await link(addressesOf(here))
    const listener = new Listener(watcher)
    await writer.propose(zero, createAuction(lot))
    await until(() => listener.seqs().length > 0)
    const before = listener.batches.at(-1)?.index as number
    for (const proxy of proxies) proxy.stuck = true
    for (const proxy of proxies) proxy.cut()
    for (const at of range(1, 60)) await bids(writer, at, at)
    for (const proxy of proxies) proxy.stuck = false
    await until(() => listener.seqs().at(-1) === 61)
    expect(listener.gaps.length).toBe(1)
    const { afterIndex, toIndex } = listener.gaps[0] as FeedGap
    expect(afterIndex).toBe(before)
    const later = listener.batches.map((batch) => batch.index).filter((index) => index > before)
    expect(later).toEqual(range(toIndex + 1, 61))
    expect(await watcher.eventsSince(lot, { epoch: 1, seq: 1 }, 100)).toHaveLength(60)
  })

  it('LINK8: a state that was replaced by a snapshot is told as a gap to whoever followed it', async () => {
    const here = await town(2)
    const watcher = await link([(here.houses[1] as House).address])
    const writer = await link([(here.houses[0] as House).address])
    const listener = new Listener(watcher)
    await writer.propose(zero, createAuction(lot))
    await until(() => listener.batches.length === 1)
    here.cluster.node(2).cutOff()
    await bids(writer, 1, 5)
    here.cluster.node(2).mend('snapshot')
    await until(() => listener.gaps.length === 1)
    expect(listener.gaps).toEqual([
      { groupId: 0, afterIndex: 1, toIndex: here.cluster.node(1).appliedIndex(zero) },
    ])
    await bids(writer, 6, 6)
    await until(() => listener.batches.length === 2)
    expect(await watcher.auction(lot)).toMatchObject({ bidCount: 6 })
  })

  it('LINK8: listeners begin and end by themselves; a later one gets what comes later', async () => {
    const here = await town(1)
    const cluster = await link(addressesOf(here))
    const heard: string[] = []
    const end = cluster.subscribe(zero, (batch) => heard.push(`first ${batch.index}`))
    await cluster.propose(zero, createAuction(lot))
    await bids(cluster, 1, 1)
    const endSecond = cluster.subscribe(zero, (batch) => heard.push(`second ${batch.index}`))
    await bids(cluster, 2, 2)
    end()
    end()
    await bids(cluster, 3, 3)
    endSecond()
    await bids(cluster, 4, 4)
    const again = new Listener(cluster)
    await bids(cluster, 5, 5)
    expect(heard).toEqual(['first 1', 'first 2', 'first 3', 'second 3', 'second 4'])
    expect(again.batches.map((batch) => batch.index)).toEqual([6])
  })

  it('LINK9: a read is never older than a reply, wherever it is answered', async () => {
    const here = await town(2)
    const follower = here.houses[1] as House
    const cluster = await link(addressesOf(here), { proposalTimeoutMs: 60_000 })
    await cluster.propose(zero, createAuction(lot))
    here.cluster.node(2).cutOff()
    // Wherever the preferred node is, the answer shows the bid: a node that lags is asked in vain, then left.
    for (const at of range(1, 10)) {
      await bids(cluster, at, at)
      expect(await cluster.auction(lot)).toMatchObject({ bidCount: at })
    }
    const lagging = await link([follower.address])
    expect(await lagging.auction(lot)).toMatchObject({ bidCount: 0 })
    here.cluster.node(2).mend()
    expect(await lagging.auction(lot)).toMatchObject({ bidCount: 10 })
  })

  it('LINK9: a node that lags answers when it has caught up', async () => {
    const here = await town(2)
    const proxy = keep(await TcpProxy.open((here.houses[0] as House).address))
    const cluster = await link([proxy.address, (here.houses[1] as House).address])
    await cluster.propose(zero, createAuction(lot))
    here.cluster.node(2).cutOff()
    await bids(cluster, 1, 3)
    proxy.stuck = true
    proxy.cut()
    let answered = false
    const read = cluster.auction(lot).then((view) => {
      answered = true
      return view
    })
    await until(() => here.houses[1]?.service.sessionCount === 1)
    expect(answered).toBe(false)
    here.cluster.node(2).mend()
    expect(await read).toMatchObject({ bidCount: 3 })
    proxy.stuck = false
  })

  it('LINK9: what a read shows, the feed has told before', async () => {
    const here = await town(3)
    const writer = await link(addressesOf(here))
    const reader = await link(addressesOf(here))
    const listener = new Listener(reader)
    await writer.propose(zero, createAuction(lot))
    let writing = true
    const work = (async () => {
      for (const at of range(1, 200)) await bids(writer, at, at)
      writing = false
    })()
    let reads = 0
    while (writing) {
      const view = await reader.auction(lot)
      reads++
      if (view !== undefined) expect(listener.seqs().at(-1) ?? 0).toBeGreaterThanOrEqual(view.seq)
    }
    await work
    expect(reads).toBeGreaterThan(20)
    expect(listener.gaps).toEqual([])
  })

  it('LINK9: a read barrier makes reads show what others had committed before', async () => {
    const here = await town(2)
    const writer = await link(addressesOf(here))
    const reader = await link(addressesOf(here))
    await writer.propose(zero, createAuction(lot))
    await bids(writer, 1, 1)
    await reader.readBarrier(zero)
    expect(await reader.auction(lot)).toMatchObject({ bidCount: 1 })
    here.cluster.elect(0)
    await until(() => !reader.status().ready)
    const barrier = await link(addressesOf(here), { readTimeoutMs: 150 })
    await expect(barrier.readBarrier(zero)).rejects.toMatchObject({ code: 'unavailable' })
  })

  it('LINK11: what a node does not know yet is waited for, not denied', async () => {
    const here = await town(2)
    const [leader, follower] = here.houses as [House, House]
    const proxy = keep(await TcpProxy.open(leader.address))
    proxy.stuck = true
    const cluster = await link([proxy.address, follower.address], { readTimeoutMs: 5_000 })
    // Reads go to the follower, which answered first; the leader is reached as well.
    proxy.stuck = false
    await until(() => leader.service.sessionCount === 1)
    here.cluster.node(2).cutOff()
    const other = await link([leader.address])
    await other.propose(zero, createAuction(lot))
    const position = { epoch: 1, seq: 1 }
    expect(here.cluster.node(2).appliedIndex(zero)).toBe(0)
    const found = Promise.all([cluster.auction(lot), cluster.eventsSince(lot, position, 10)])
    await until(() => follower.service.requestsInFlight > 0)
    here.cluster.node(2).mend()
    expect(await found).toEqual([expect.objectContaining({ id: lot }), []])
    expect(await cluster.auction('nothing' as AuctionId)).toBeUndefined()
  })

  it('LINK11: without a leader nobody says that there is nothing', async () => {
    const here = await town(1)
    const cluster = await link(addressesOf(here), { readTimeoutMs: 200 })
    await cluster.propose(zero, createAuction(lot))
    here.cluster.elect(0)
    await until(() => !cluster.status().ready)
    await expect(cluster.auction('nothing' as AuctionId)).rejects.toMatchObject({ code: 'unavailable' })
    expect(await cluster.auction(lot)).toMatchObject({ id: lot })
  })

  it('LINK10: a page that does not fit a frame comes shorter, and goes on with its cursor', async () => {
    const here = await town(1)
    const cluster = await link(addressesOf(here))
    const item = 'é'.repeat(60_000)
    for (const from of [0, 50, 100]) {
      await Promise.all(
        range(from, from + 49).map((at) => cluster.propose(zero, createAuction(`big-${at}`, item))),
      )
    }
    const found: string[] = []
    let after: string | undefined
    let pages = 0
    do {
      const page = await cluster.auctions({ limit: 1_000, ...(after === undefined ? {} : { after }) })
      found.push(...page.auctions.map((view) => view.id))
      after = page.next
      pages++
    } while (after !== undefined)
    expect([found.length, new Set(found).size]).toEqual([150, 150])
    expect(pages).toBeGreaterThan(1)
  })

  it('LINK4: a node that hangs is left for another within its heartbeats', async () => {
    const here = await town(2)
    const proxies = [
      keep(await TcpProxy.open((here.houses[0] as House).address)),
      keep(await TcpProxy.open((here.houses[1] as House).address)),
    ]
    const limits = { connection: { ...quickLimits, silentHeartbeatsMax: 8 } }
    const cluster = await link(
      proxies.map((proxy) => proxy.address),
      limits,
    )
    const listener = new Listener(cluster)
    await cluster.propose(zero, createAuction(lot))
    for (const [at, proxy] of proxies.entries()) {
      proxy.stuck = true
      here.cluster.elect(2 - at)
      const replies = await bids(cluster, at * 10 + 1, at * 10 + 5)
      expect(replies.every((reply) => reply.ok)).toBe(true)
      await until(() => listener.seqs().length === 1 + (at + 1) * 5)
      proxy.stuck = false
      proxy.cut()
      await until(() => here.houses[at]?.service.sessionCount === 1)
    }
    expect(listener.seqs()).toEqual(range(1, 11))
    expect(listener.gaps).toEqual([])
  })

  it('LINK4: bytes changed on the way, either way, lose nothing and repeat nothing', async () => {
    const here = await town(1)
    const proxy = keep(await TcpProxy.open((here.houses[0] as House).address))
    const cluster = await link([proxy.address])
    const listener = new Listener(cluster)
    await cluster.propose(zero, createAuction(lot))
    let chunks = 0
    proxy.tamper = (chunk) => {
      chunks++
      if (chunks % 7 !== 0) return chunk
      const changed = Buffer.from(chunk)
      changed[changed.length >> 1] = (changed[changed.length >> 1] as number) ^ 0x10
      return changed
    }
    for (const at of range(1, 60)) expect((await bids(cluster, at, at))[0]).toMatchObject({ ok: true })
    proxy.tamper = undefined
    await until(() => listener.seqs().at(-1) === 61)
    expect(listener.seqs()).toEqual(range(1, 61))
    expect(proxy.connections).toBeGreaterThan(1)
    expect(await cluster.auction(lot)).toMatchObject({ bidCount: 60 })
  })

  it('LINK4: a client that breaks the protocol is cut off, and others go on', async () => {
    const here = await town(1)
    const house = here.houses[0] as House
    const cluster = await link(addressesOf(here))
    const bad: readonly (readonly [number, Uint8Array])[] = [
      [frameKinds.linkRequest, Buffer.from([0xc1, 0xff])],
      [frameKinds.linkRequest, packTuple([1, 99, 0])],
      [frameKinds.linkRequest, packTuple([1, 1, 0, [packTuple([3, 'half a bid'])]])],
      [frameKinds.linkRequest, packTuple([1, 3, 77, null])],
      [frameKinds.linkRequest, packTuple([1, 2, [], 1, 5])],
      [frameKinds.raft, packTuple([1])],
    ]
    for (const [kind, body] of bad) {
      const faults = house.faults.length
      const socket = netConnect({ host: '127.0.0.1', port: house.address.port })
      socket.resume()
      const hello = encodeHello(helloOf('link', 0, { settingsHash: '' }))
      socket.write(
        Buffer.concat([...frameParts(frameKinds.hello, [hello]), ...frameParts(kind as 16, [body])]),
      )
      await once(socket, 'close')
      expect(house.faults.slice(faults)).toEqual(['malformed'])
    }
    expect(await cluster.propose(zero, createAuction(lot))).toMatchObject({ ok: true })
  })

  it('LINK10: a client that stops reading for a while holds nobody up, and misses nothing unsaid', async () => {
    const fake = new FakeCluster(1)
    const house = keep(await House.open(fake.node(1)))
    const proxy = keep(await TcpProxy.open(house.address))
    const slow = await link([proxy.address])
    const writer = await link([house.address])
    const listener = new Listener(slow)
    await writer.propose(zero, createAuction(lot))
    await until(() => listener.batches.length === 1)
    proxy.hold = true
    for (const at of range(1, 200)) await bids(writer, at * 20, at * 20 + 19)
    expect(await writer.auction(lot)).toMatchObject({ bidCount: 4_000 })
    expect(listener.seqs().length).toBeLessThan(4_000)
    proxy.hold = false
    await until(() => listener.seqs().at(-1) === 4_001)
    expect(listener.seqs()).toEqual(range(1, 4_001))
  })

  it('LINK5: members that join are found by those who know one of them', async () => {
    const fake = new FakeCluster(3)
    const houses = [keep(await House.open(fake.node(1))), keep(await House.open(fake.node(2)))]
    fake.members = houses.map((house, at) => ({ nodeId: at + 1, address: house.address }))
    const cluster = await link([(houses[0] as House).address])
    fake.elect(2)
    expect(await cluster.propose(zero, createAuction(lot))).toMatchObject({ ok: true })
    const third = keep(await House.open(fake.node(3)))
    fake.members = [...fake.members, { nodeId: 3, address: third.address }]
    fake.elect(3)
    expect(await cluster.propose(zero, placeBid(lot, 'bob', 5_000))).toMatchObject({ ok: true })
    fake.members = fake.members.filter(({ nodeId }) => nodeId !== 2)
    await until(() => houses[1]?.service.sessionCount === 0)
    expect(await cluster.propose(zero, placeBid(lot, 'eve', 9_000))).toMatchObject({ ok: true })
  })

  it('LINK7: a link that is closed says so to whoever waits and whoever comes', async () => {
    const here = await town(1)
    const cluster = await link(addressesOf(here))
    here.cluster.node(1).isMute = true
    const waiting = cluster.propose(zero, createAuction(lot))
    const outcome = expect(waiting).rejects.toMatchObject({ code: 'unknown' })
    await until(() => here.cluster.commandsOf(zero).length === 1)
    await cluster.close()
    await outcome
    await expect(cluster.propose(zero, createAuction(lot))).rejects.toMatchObject({
      code: 'stopped',
      retryable: false,
    })
    await expect(cluster.auction(lot)).rejects.toMatchObject({ code: 'stopped' })
    await until(() => here.houses[0]?.service.sessionCount === 0)
  })

  it('LINK4: a node that stops lets its clients go to the others with their requests', async () => {
    const here = await town(3)
    const cluster = await link(addressesOf(here))
    await cluster.propose(zero, createAuction(lot))
    for (const at of [0, 1]) {
      here.houses[at]?.service.close()
      here.cluster.elect(3)
      expect((await bids(cluster, at * 10 + 1, at * 10 + 3)).every((reply) => reply.ok)).toBe(true)
      expect(await cluster.auction(lot)).toMatchObject({ bidCount: at * 3 + 3 })
    }
  })
})
