import { afterEach, describe, expect, it } from 'vitest'
import type { AuctionId, SubjectId } from '../../../protocol/ids.ts'
import { tcpDial } from '../../../wire/tcp.ts'
import { until } from '../../../wire/testing/fixtures.ts'
import { testIdentity } from '../../../wire/testing/tls.ts'
import { createAuction, FakeCluster, placeBid, registerBuyer } from '../testing/fake-cluster.ts'
import {
  addressesOf,
  bids,
  closeAll,
  keep,
  lot,
  openLink,
  openNodes,
  TestNode,
  zero,
} from '../testing/tcp-nodes.ts'

const bob = 'bob' as SubjectId

afterEach(closeAll)

describe('the cluster link', () => {
  it('LINK1: finds nodes, cluster and groups, and answers every read as the state has it', async () => {
    const state = await openNodes(3, 1)
    const cluster = await openLink(addressesOf(state))
    expect([cluster.clusterId, cluster.groups]).toEqual(['cluster-1', [0]])
    expect(await cluster.propose(zero, createAuction(lot))).toMatchObject({ ok: true, type: 'auction' })
    expect(await cluster.propose(zero, registerBuyer('eve'))).toMatchObject({ ok: true, type: 'buyer' })
    await bids(cluster, 1, 3)
    const node = state.fake.node(1)
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

  it('LINK3: a client of another cluster is refused with the reason; without any node it is unavailable', async () => {
    const state = await openNodes(1)
    const wrong = openLink(addressesOf(state), { startTimeoutMs: 300 }, { clusterId: 'cluster-2' })
    await expect(wrong).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('wrong_cluster'),
    })
    const closed = { host: '127.0.0.1', port: state.nodes[0]?.address.port as number }
    await state.nodes[0]?.close()
    await expect(openLink([closed], { startTimeoutMs: 200 })).rejects.toMatchObject({ code: 'unavailable' })
  })

  it('LINK3: with mutual TLS the link works, and a client of another authority is refused', async () => {
    const fake = new FakeCluster(1)
    const tcp = { tls: testIdentity('node') }
    const node = keep(await TestNode.open(fake.node(1), { tcp }))
    const cluster = await openLink([node.address], {}, { dial: tcpDial(tcp) })
    expect(await cluster.propose(zero, createAuction(lot))).toMatchObject({ ok: true })
    const stranger = openLink(
      [node.address],
      { startTimeoutMs: 200 },
      { dial: tcpDial({ tls: testIdentity('intruder') }) },
    )
    await expect(stranger).rejects.toMatchObject({ code: 'unavailable' })
    await expect(openLink([node.address], { startTimeoutMs: 200 })).rejects.toMatchObject({
      code: 'unavailable',
    })
  })

  it('LINK5: clients that know one member find those that join', async () => {
    const fake = new FakeCluster(3)
    const nodes = [keep(await TestNode.open(fake.node(1))), keep(await TestNode.open(fake.node(2)))]
    fake.members = nodes.map((node, at) => ({ nodeId: at + 1, address: node.address }))
    const cluster = await openLink([(nodes[0] as TestNode).address])
    fake.elect(2)
    expect(await cluster.propose(zero, createAuction(lot))).toMatchObject({ ok: true })
    const third = keep(await TestNode.open(fake.node(3)))
    fake.members = [...fake.members, { nodeId: 3, address: third.address }]
    fake.elect(3)
    expect(await cluster.propose(zero, placeBid(lot, 'bob', 5_000))).toMatchObject({ ok: true })
    fake.members = fake.members.filter(({ nodeId }) => nodeId !== 2)
    await until(() => nodes[1]?.service.sessionCount === 0)
    expect(await cluster.propose(zero, placeBid(lot, 'eve', 9_000))).toMatchObject({ ok: true })
  })

  it('LINK7: a closed link settles the waiting commands and refuses new ones', async () => {
    const state = await openNodes(1)
    const cluster = await openLink(addressesOf(state))
    state.fake.node(1).isMute = true
    const waiting = cluster.propose(zero, createAuction(lot))
    const outcome = expect(waiting).rejects.toMatchObject({ code: 'unknown' })
    await until(() => state.fake.commandsOf(zero).length === 1)
    await cluster.close()
    await outcome
    await expect(cluster.propose(zero, createAuction(lot))).rejects.toMatchObject({
      code: 'stopped',
      retryable: false,
    })
    await expect(cluster.auction(lot)).rejects.toMatchObject({ code: 'stopped' })
    await until(() => state.nodes[0]?.service.sessionCount === 0)
  })
})
