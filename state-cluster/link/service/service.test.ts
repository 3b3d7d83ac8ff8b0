import { describe, expect, it } from 'vitest'
import type { AuctionId, GroupId, ServerId } from '../../../protocol/ids.ts'
import { Connection, type ConnectionHandlers } from '../../../wire/connection.ts'
import type { TransportError } from '../../../wire/errors.ts'
import { frameKinds } from '../../../wire/kinds.ts'
import type { ByteStream } from '../../../wire/stream.ts'
import { helloOf } from '../../../wire/testing/fixtures.ts'
import { packTuple } from '../../../wire/tuples.ts'
import { group } from '../../peers/testing/fixtures.ts'
import type { LinkBackend } from '../backend.ts'
import { reads } from '../reads.ts'
import { createAuction, FakeCluster, placeBid, withMethods } from '../testing/fake-cluster.ts'
import { VirtualWorld, virtualLimits } from '../testing/virtual.ts'
import {
  decodeFeed,
  decodeGap,
  decodeReplyBody,
  encodeCommandBytes,
  encodeGroupRequest,
  encodePropose,
  encodeRead,
  encodeStatusRequest,
  encodeSubscribe,
} from '../wire.ts'
import { requestsInFlightMax, stalledMsMax } from './link-session.ts'
import type { LinkService, LinkServiceOptions } from './service.ts'

const zero = group(0)
const lot = 'lot' as AuctionId

/** A client without logic: sends frames as they are, and records the received ones. */
class RawClient implements ConnectionHandlers {
  readonly received: string[] = []
  readonly closedBy: TransportError[] = []
  readonly connection: Connection

  constructor(world: VirtualWorld, stream: ByteStream) {
    this.connection = new Connection({
      stream,
      timing: world.timing,
      limits: virtualLimits,
      hello: helloOf('link', 0),
      judge: () => undefined,
      opened: () => this,
      failed: (cause) => this.closedBy.push(cause),
    })
  }

  frame(kind: number, body: Uint8Array): void {
    if (kind === frameKinds.linkFeed) this.received.push(`feed ${decodeFeed(body).index}`)
    else if (kind === frameKinds.linkGap) this.received.push(`gap ${decodeGap(body).index}`)
    else if (kind === frameKinds.linkReply) {
      const reply = decodeReplyBody(body)
      this.received.push(`reply ${reply.id}${reply.failure === undefined ? '' : ` ${reply.failure}`}`)
    }
  }

  writable(): void {}

  closed(cause: TransportError): void {
    this.closedBy.push(cause)
  }

  request(body: Uint8Array): void {
    expect(this.connection.send(frameKinds.linkRequest, [body])).toBe(true)
  }
}

interface Scene {
  readonly world: VirtualWorld
  readonly cluster: FakeCluster
  readonly service: LinkService
  readonly client: RawClient
}

/** A further client of the first node. */
async function connectTo({ world, cluster }: Pick<Scene, 'world' | 'cluster'>): Promise<RawClient> {
  let stream: ByteStream | undefined
  world.wires.dial('client')(world.addressOf(cluster.node(1)), (outcome) => {
    stream = outcome as ByteStream
  })
  await world.run(5)
  const client = new RawClient(world, stream as ByteStream)
  await world.run(20)
  return client
}

/** `methods` replace the first node's own. */
async function scene(
  options: Partial<LinkServiceOptions> = {},
  methods: Partial<LinkBackend> = {},
): Promise<Scene> {
  const world = new VirtualWorld(1)
  const cluster = new FakeCluster(2)
  const backend = withMethods(cluster.node(1), methods)
  const service = await world.serve(cluster.node(1), { backend, ...options })
  return { world, cluster, service, client: await connectTo({ world, cluster }) }
}

const auctionRead = (id: number, index: number) =>
  encodeRead(id, [{ groupId: zero, index }], reads.auction.code, reads.auction.encodeArgs({ auctionId: lot }))

describe('a state node and its link clients', () => {
  it('LINK8: a subscription is answered, then gets the batches after its position, until unsubscribe', async () => {
    const { world, cluster, client } = await scene()
    cluster.append(zero, [createAuction(lot)])
    client.request(encodeSubscribe(1, zero, undefined))
    await world.run(20)
    cluster.append(zero, [placeBid(lot, 'bob', 1_000)])
    await world.run(20)
    client.request(encodeGroupRequest(2, 'unsubscribe', zero))
    await world.run(20)
    cluster.append(zero, [placeBid(lot, 'eve', 2_000)])
    await world.run(20)
    client.request(encodeSubscribe(3, zero, 1))
    await world.run(20)
    expect(client.received).toEqual(['reply 1', 'feed 2', 'reply 2', 'reply 3', 'feed 2', 'feed 3'])
  })

  it('LINK9: a reply waits for the feed before it, also when there was no room for that feed', async () => {
    const { world, cluster, client } = await scene()
    client.request(encodeSubscribe(1, zero, undefined))
    await world.run(20)
    client.connection.pause()
    cluster.append(zero, [createAuction(lot)])
    for (let at = 1; at <= 600; at++) cluster.append(zero, [placeBid(lot, `b${at}`, at * 20_000)])
    client.request(auctionRead(2, 601))
    await world.run(50)
    cluster.append(zero, [placeBid(lot, 'last', 90_000_000)])
    await world.run(50)
    expect(client.received).toEqual(['reply 1'])
    client.connection.resume()
    await world.run(100)
    const feeds = Array.from({ length: 602 }, (_, at) => `feed ${at + 1}`)
    expect(client.received.filter((line) => line.startsWith('feed'))).toEqual(feeds)
    expect(client.received.indexOf('reply 2')).toBeGreaterThan(client.received.indexOf('feed 601'))
  })

  it('LINK10: a client that does not read has bounded waiting bytes; too far behind, it gets a gap', async () => {
    const { world, cluster, service, client } = await scene({ feedBytesMax: 10_000 })
    client.request(encodeSubscribe(1, zero, undefined))
    await world.run(20)
    client.connection.pause()
    cluster.append(zero, [createAuction(lot)])
    for (let at = 1; at <= 2_000; at++) {
      cluster.append(zero, [placeBid(lot, `b${at}`, at * 20_000)])
      if (at % 100 === 0) await world.turns()
      expect(service.ring(zero)?.bytes).toBeLessThanOrEqual(10_000)
      expect(service.waitingBytes).toBeLessThan(virtualLimits.outBytesMax + 1_000)
    }
    client.connection.resume()
    await world.run(100)
    const gapAt = client.received.findIndex((line) => line.startsWith('gap'))
    expect(gapAt).toBeGreaterThan(10)
    const before = Number(client.received[gapAt - 1]?.slice(5))
    const gap = Number(client.received[gapAt]?.slice(4))
    expect(before).toBeLessThan(gap)
    const behind = Array.from({ length: 2_001 - gap }, (_, at) => `feed ${gap + 1 + at}`)
    expect(client.received.slice(gapAt + 1)).toEqual(behind)
    expect(client.received.filter((line) => line.startsWith('gap')).length).toBe(1)
  })

  it('LINK10: a client that takes nothing for long is disconnected', async () => {
    const { world, cluster, service, client } = await scene()
    client.request(encodeSubscribe(1, zero, undefined))
    await world.run(20)
    client.connection.pause()
    cluster.append(zero, [createAuction(lot)])
    for (let at = 1; at <= 1_000; at++) cluster.append(zero, [placeBid(lot, `b${at}`, at * 20_000)])
    await world.run(stalledMsMax - 1_000)
    expect(service.sessionCount).toBe(1)
    await world.run(2_000)
    expect(service.sessionCount).toBe(0)
    expect(world.faults).toEqual(['silent'])
  })

  it('LINK10: with too many requests in progress a client is not read from; each is answered once', async () => {
    const { world, cluster, service, client } = await scene({ freshWaitMs: 5_000 })
    cluster.node(1).cutOff()
    const total = requestsInFlightMax + 500
    for (let id = 1; id <= total; id++) client.request(auctionRead(id, 1))
    await world.run(100)
    expect(service.requestsInFlight).toBe(requestsInFlightMax)
    expect(client.received).toEqual([])
    cluster.append(zero, [createAuction(lot)])
    cluster.node(1).mend()
    await world.run(200)
    expect(client.received.length).toBe(total)
    expect(new Set(client.received).size).toBe(total)
    expect(service.requestsInFlight).toBe(0)
  })

  it('LINK9: a read whose index is not applied in time fails as stale', async () => {
    const { world, client } = await scene({ freshWaitMs: 200 })
    client.request(auctionRead(1, 5))
    await world.run(150)
    expect(client.received).toEqual([])
    await world.run(100)
    expect(client.received).toEqual(['reply 1 stale'])
  })

  it('LINK5: a node that does not lead proposes nothing and names the leader; failures keep their names', async () => {
    const { world, cluster, client } = await scene()
    const bytes = [encodeCommandBytes(createAuction(lot))]
    cluster.elect(2)
    client.request(encodePropose(1, zero, bytes))
    client.request(encodeGroupRequest(2, 'readIndex', zero))
    await world.run(20)
    expect(client.received).toEqual(['reply 1 not_leader', 'reply 2 not_leader'])
    expect(cluster.commandsOf(zero)).toEqual([])
    cluster.elect(1)
    client.request(encodePropose(3, zero, bytes))
    client.request(encodeStatusRequest(4))
    await world.run(20)
    expect(client.received.slice(2).sort()).toEqual(['reply 3', 'reply 4'])
  })

  it('LINK3: clients beyond the bound are refused, and a stopping node refuses all', async () => {
    const { world, cluster, service } = await scene({ sessionsMax: 1 })
    const join = async () => (await connectTo({ world, cluster })).closedBy[0]?.message
    expect(await join()).toContain('too_many_connections')
    service.close()
    expect(await join()).toContain('stopping')
    expect(service.sessionCount).toBe(0)
  })

  const broken = (): never => {
    throw new TypeError('a fault of this node')
  }
  const bytes = [encodeCommandBytes(createAuction(lot))]
  const { owners, outbox } = reads
  const [g999, server] = [999 as GroupId, 'server-1' as ServerId]
  const badRequests: readonly (readonly [
    title: string,
    methods: Partial<LinkBackend>,
    body: Uint8Array,
    code: string,
  ])[] = [
    ['a read that throws', { auction: broken }, auctionRead(1, 0), 'answer_failed'],
    ['a read that rejects', { auction: async () => broken() }, auctionRead(1, 0), 'answer_failed'],
    ['an answer of another shape', { auction: async () => 5 as never }, auctionRead(1, 0), 'answer_failed'],
    ['a proposal that throws', { propose: broken }, encodePropose(1, zero, bytes), 'answer_failed'],
    [
      'a proposal that rejects',
      { propose: async () => broken() },
      encodePropose(1, zero, bytes),
      'answer_failed',
    ],
    ['a status that throws', { status: broken }, encodeStatusRequest(1), 'answer_failed'],
    [
      'a read index that throws',
      { readIndex: broken },
      encodeGroupRequest(1, 'readIndex', zero),
      'answer_failed',
    ],
    [
      'a read of an unknown group',
      {},
      encodeRead(1, [], owners.code, owners.encodeArgs({ groupId: g999 })),
      'malformed',
    ],
    [
      'another read of an unknown group',
      {},
      encodeRead(
        1,
        [],
        outbox.code,
        outbox.encodeArgs({ groupId: g999, serverId: server, after: 0, limit: 10 }),
      ),
      'malformed',
    ],
    [
      'a read as new as an unknown group',
      {},
      encodeRead(1, [{ groupId: g999, index: 1 }], 1, [lot]),
      'malformed',
    ],
    ['a command of an unknown group', {}, encodePropose(1, g999, bytes), 'malformed'],
    ['members of an unknown group', {}, encodeGroupRequest(1, 'members', g999), 'malformed'],
    ['an operation that there is not', {}, packTuple([1, 99]), 'malformed'],
    ['a command with a hole', {}, encodePropose(1, zero, [packTuple([3, null, null])]), 'malformed'],
  ]
  for (const [title, methods, body, code] of badRequests) {
    it(`LINK12: ${title} ends that session with a logged fault; other clients are served`, async () => {
      const { world, cluster, service, client } = await scene({}, methods)
      const other = await connectTo({ world, cluster })
      client.request(body)
      await world.run(20)
      expect([client.received, client.closedBy.length]).toEqual([[], 1])
      expect(world.faults).toEqual([code])
      other.request(encodeSubscribe(7, zero, undefined))
      await world.run(20)
      expect([other.received, service.sessionCount]).toEqual([['reply 7'], 1])
    })
  }

  it('LINK12: a welcome that throws ends that connection alone', async () => {
    let isBroken = false
    const { world, cluster, service, client } = await scene({}, { members: () => (isBroken ? broken() : []) })
    isBroken = true
    expect((await connectTo({ world, cluster })).closedBy).toHaveLength(1)
    expect([service.sessionCount, world.faults]).toEqual([1, ['answer_failed']])
    client.request(encodeSubscribe(1, zero, undefined))
    await world.run(20)
    expect(client.received).toEqual(['reply 1'])
  })
})
