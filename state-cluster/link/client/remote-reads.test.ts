import { afterEach, describe, expect, it } from 'vitest'
import type { AuctionId } from '../../../protocol/ids.ts'
import { until } from '../../../wire/testing/fixtures.ts'
import { TcpProxy } from '../../../wire/testing/tcp-proxy.ts'
import { createAuction } from '../testing/fake-cluster.ts'
import {
  addressesOf,
  bids,
  closeAll,
  keep,
  Listener,
  lot,
  openLink,
  openNodes,
  range,
  type TestNode,
  zero,
} from '../testing/tcp-nodes.ts'

afterEach(closeAll)

describe('reads over the link', () => {
  it('LINK9: a read is never older than a reply, whichever node answers', async () => {
    const state = await openNodes(2)
    const follower = state.nodes[1] as TestNode
    const cluster = await openLink(addressesOf(state), { proposalTimeoutMs: 60_000 })
    await cluster.propose(zero, createAuction(lot))
    state.fake.node(2).cutOff()
    // With any preferred node the answer shows the bid: a node that lags fails as stale, and is left.
    for (const at of range(1, 10)) {
      await bids(cluster, at, at)
      expect(await cluster.auction(lot)).toMatchObject({ bidCount: at })
    }
    const lagging = await openLink([follower.address])
    expect(await lagging.auction(lot)).toMatchObject({ bidCount: 0 })
    state.fake.node(2).mend()
    expect(await lagging.auction(lot)).toMatchObject({ bidCount: 10 })
  })

  it('LINK9: a node that lags answers when it has caught up', async () => {
    const state = await openNodes(2)
    const proxy = keep(await TcpProxy.open((state.nodes[0] as TestNode).address))
    const cluster = await openLink([proxy.address, (state.nodes[1] as TestNode).address])
    await cluster.propose(zero, createAuction(lot))
    state.fake.node(2).cutOff()
    await bids(cluster, 1, 3)
    proxy.stuck = true
    proxy.cut()
    let answered = false
    const read = cluster.auction(lot).then((view) => {
      answered = true
      return view
    })
    await until(() => state.nodes[1]?.service.sessionCount === 1)
    expect(answered).toBe(false)
    state.fake.node(2).mend()
    expect(await read).toMatchObject({ bidCount: 3 })
    proxy.stuck = false
  })

  it('LINK9: everything that a read shows, the feed has brought before', async () => {
    const state = await openNodes(3)
    const writer = await openLink(addressesOf(state))
    const reader = await openLink(addressesOf(state))
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

  it('LINK9: a read barrier makes reads show everything that others had committed before', async () => {
    const state = await openNodes(2)
    const writer = await openLink(addressesOf(state))
    const reader = await openLink(addressesOf(state))
    await writer.propose(zero, createAuction(lot))
    await bids(writer, 1, 1)
    await reader.readBarrier(zero)
    expect(await reader.auction(lot)).toMatchObject({ bidCount: 1 })
    state.fake.elect(0)
    await until(() => !reader.status().ready)
    const barrier = await openLink(addressesOf(state), { readTimeoutMs: 150 })
    await expect(barrier.readBarrier(zero)).rejects.toMatchObject({ code: 'unavailable' })
  })

  it('LINK11: a thing that the node does not know yet is waited for, not denied', async () => {
    const state = await openNodes(2)
    const [leader, follower] = state.nodes as [TestNode, TestNode]
    const proxy = keep(await TcpProxy.open(leader.address))
    proxy.stuck = true
    const cluster = await openLink([proxy.address, follower.address], { readTimeoutMs: 5_000 })
    // Reads go to the follower, which answered first; the leader is reached as well.
    proxy.stuck = false
    await until(() => leader.service.sessionCount === 1)
    state.fake.node(2).cutOff()
    const other = await openLink([leader.address])
    await other.propose(zero, createAuction(lot))
    const position = { epoch: 1, seq: 1 }
    expect(state.fake.node(2).appliedIndex(zero)).toBe(0)
    const found = Promise.all([cluster.auction(lot), cluster.eventsSince(lot, position, 10)])
    await until(() => follower.service.requestsInFlight > 0)
    state.fake.node(2).mend()
    expect(await found).toEqual([expect.objectContaining({ id: lot }), []])
    expect(await cluster.auction('nothing' as AuctionId)).toBeUndefined()
  })

  it('LINK11: without a leader no read answers that there is nothing', async () => {
    const state = await openNodes(1)
    const cluster = await openLink(addressesOf(state), { readTimeoutMs: 200 })
    await cluster.propose(zero, createAuction(lot))
    state.fake.elect(0)
    await until(() => !cluster.status().ready)
    await expect(cluster.auction('nothing' as AuctionId)).rejects.toMatchObject({ code: 'unavailable' })
    expect(await cluster.auction(lot)).toMatchObject({ id: lot })
  })

  it('LINK10: a page that does not fit a frame comes shorter, and continues with its cursor', async () => {
    const state = await openNodes(1)
    const cluster = await openLink(addressesOf(state))
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
})
