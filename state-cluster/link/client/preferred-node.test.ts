import { describe, expect, it } from 'vitest'
import { group } from '../../peers/testing/fixtures.ts'
import type { LinkBackend } from '../backend.ts'
import { createAuction, FakeCluster, withMethods } from '../testing/fake-cluster.ts'
import { VirtualWorld } from '../testing/virtual.ts'

const zero = group(0)

async function scene() {
  const world = new VirtualWorld(1)
  const cluster = new FakeCluster(3)
  /** The nodes that reads went to. */
  const asked: number[] = []
  for (const node of cluster.nodes) {
    const auctions: LinkBackend['auctions'] = (query) => {
      asked.push(node.nodeId)
      return node.auctions(query)
    }
    await world.serve(node, { backend: withMethods(node, { auctions }) })
  }
  // No status is fetched: nothing but what nodes report can move the feed.
  const link = await world.link('reader', cluster.nodes, { statusMs: 3_600_000 })
  await world.run(50)
  const indexes: number[] = []
  link.subscribe(zero, ({ index }) => indexes.push(index))
  await world.run(20)
  return { world, cluster, link, indexes, asked }
}

describe('the preferred node', () => {
  it('LINK14: a node that lost its leader is left at once for one that knows it; the feed is not late', async () => {
    const { world, cluster, indexes } = await scene()
    for (const node of cluster.nodes) {
      // It loses its peers, not its clients; the other two elect one of them.
      node.cutOff()
      node.setLeader({ leaderId: 0, term: cluster.leader.term })
      cluster.elect((node.nodeId % 3) + 1)
      const index = cluster.append(zero, [createAuction(`lot-${node.nodeId}`)])
      await world.run(15)
      expect(indexes.at(-1)).toBe(index)
      node.mend()
      await world.run(15)
    }
    expect(indexes).toEqual([1, 2, 3])
    await world.close()
  })

  it('LINK14: it stays while no other node knows more leaders, also while a leader steps down', async () => {
    const { world, cluster, link, asked } = await scene()
    const read = () => world.settled(link.auctions({ limit: 1 }))
    await read()
    const other = cluster.nodes.find((node) => node.nodeId !== asked[0] && node.nodeId !== 1)
    other?.setLeader({ leaderId: 0, term: 1 })
    await world.run(20)
    await read()
    // A leader that steps down reports it before the others do.
    cluster.node(1).setLeader({ leaderId: 0, term: 1 })
    await world.run(20)
    await read()
    cluster.elect(0)
    await world.run(20)
    await read()
    expect(new Set(asked).size).toBe(1)
    await world.close()
  })
})
