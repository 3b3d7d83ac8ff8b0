import { afterEach, describe, expect, it } from 'vitest'
import { until } from '../../../wire/testing/fixtures.ts'
import { TcpProxy } from '../../../wire/testing/tcp-proxy.ts'
import type { FeedGap } from '../../cluster.ts'
import { createAuction, FakeCluster } from '../testing/fake-cluster.ts'
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
  TestNode,
  zero,
} from '../testing/tcp-nodes.ts'

afterEach(closeAll)

describe('feeds over the link', () => {
  it('LINK8: the feed brings every entry once and in order while its node dies and others take over', async () => {
    const state = await openNodes(3)
    const cluster = await openLink(addressesOf(state))
    const first = new Listener(cluster)
    await cluster.propose(zero, createAuction(lot))
    for (const round of [0, 1, 2, 3, 4, 5]) {
      const at = round % 3
      const node = state.nodes[at] as TestNode
      const half = bids(cluster, round * 100 + 1, round * 100 + 20)
      await node.close()
      state.fake.elect(((at + 1) % 3) + 1)
      await half
      await bids(cluster, round * 100 + 21, round * 100 + 40)
      state.nodes[at] = keep(await TestNode.open(node.node, { port: node.address.port }))
    }
    const last = (await state.fake.node(1).events(lot, 0, 10_000)).length
    await until(() => first.seqs().at(-1) === last)
    expect(first.gaps).toEqual([])
    expect(first.seqs()).toEqual(range(1, last))
    const indexes = first.batches.map((batch) => batch.index)
    expect(indexes).toEqual([...new Set(indexes)].sort((a, b) => a - b))
  })

  it('LINK8: a node that no longer has the missed batches sends one gap, and the feed continues after it', async () => {
    const state = await openNodes(2, 1, { feedBytesMax: 2_000 })
    const proxies = [
      keep(await TcpProxy.open((state.nodes[0] as TestNode).address)),
      keep(await TcpProxy.open((state.nodes[1] as TestNode).address)),
    ]
    const watcher = await openLink(proxies.map((proxy) => proxy.address))
    const writer = await openLink(addressesOf(state))
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

  it('LINK8: a state that was replaced by a snapshot is a gap for every follower of its feed', async () => {
    const state = await openNodes(2)
    const watcher = await openLink([(state.nodes[1] as TestNode).address])
    const writer = await openLink([(state.nodes[0] as TestNode).address])
    const listener = new Listener(watcher)
    await writer.propose(zero, createAuction(lot))
    await until(() => listener.batches.length === 1)
    state.fake.node(2).cutOff()
    await bids(writer, 1, 5)
    state.fake.node(2).mend('snapshot')
    await until(() => listener.gaps.length === 1)
    expect(listener.gaps).toEqual([
      { groupId: 0, afterIndex: 1, toIndex: state.fake.node(1).appliedIndex(zero) },
    ])
    await bids(writer, 6, 6)
    await until(() => listener.batches.length === 2)
    expect(await watcher.auction(lot)).toMatchObject({ bidCount: 6 })
  })

  it('LINK8: listeners begin and end independently; a later one gets only later batches', async () => {
    const state = await openNodes(1)
    const cluster = await openLink(addressesOf(state))
    const received: string[] = []
    const end = cluster.subscribe(zero, (batch) => received.push(`first ${batch.index}`))
    await cluster.propose(zero, createAuction(lot))
    await bids(cluster, 1, 1)
    const endSecond = cluster.subscribe(zero, (batch) => received.push(`second ${batch.index}`))
    await bids(cluster, 2, 2)
    end()
    end()
    await bids(cluster, 3, 3)
    endSecond()
    await bids(cluster, 4, 4)
    const again = new Listener(cluster)
    await bids(cluster, 5, 5)
    expect(received).toEqual(['first 1', 'first 2', 'first 3', 'second 3', 'second 4'])
    expect(again.batches.map((batch) => batch.index)).toEqual([6])
  })

  it('LINK10: a client that stops reading for a while delays nobody, and misses nothing without a gap', async () => {
    const fake = new FakeCluster(1)
    const node = keep(await TestNode.open(fake.node(1)))
    const proxy = keep(await TcpProxy.open(node.address))
    const slow = await openLink([proxy.address])
    const writer = await openLink([node.address])
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
})
