import { describe, expect, it } from 'vitest'
import type { AuctionId, GroupId } from '../../../protocol/ids.ts'
import { group } from '../../../wire/testing/fixtures.ts'
import { createAuction, FakeCluster, withMethods } from '../testing/fake-cluster.ts'
import { VirtualWorld } from '../testing/virtual.ts'

const zero = group(0)
const lot = 'lot' as AuctionId
const poison = 'poison' as AuctionId

/** Nodes that end the connection of a client that reads the poison; they count how often. */
async function scene(nodeCount: number) {
  const world = new VirtualWorld(1)
  const cluster = new FakeCluster(nodeCount)
  const asked: number[] = []
  for (const node of cluster.nodes) {
    const backend = withMethods(node, {
      auction: async (id) => {
        if (id !== poison) return await node.auction(id)
        asked.push(node.nodeId)
        throw new TypeError('poison')
      },
    })
    await world.serve(node, { backend })
  }
  return { world, cluster, asked }
}

describe('answers that do not come', () => {
  for (const nodeCount of [1, 2, 5]) {
    it(`LINK12: of ${nodeCount} nodes a read that ends connections meets two at most, then it is unavailable`, async () => {
      const { world, cluster, asked } = await scene(nodeCount)
      const link = await world.link('reader', cluster.nodes)
      await world.run(50)
      await world.settled(link.propose(zero, createAuction(lot)))
      const failed = link.auction(poison).catch((error) => error)
      expect(await world.settled(failed)).toMatchObject({ code: 'unavailable' })
      await world.run(6_000)
      expect(asked).toHaveLength(2)
      expect(new Set(asked).size).toBe(Math.min(nodeCount, 2))
      expect(await world.settled(link.auction(lot))).toMatchObject({ id: lot })
      await world.close()
    })
  }

  it('LINK12: a read of a group that there is not is refused without asking a node', async () => {
    const { world, cluster } = await scene(3)
    const link = await world.link('reader', cluster.nodes)
    const failed = link.owners(999 as GroupId).catch((error) => error)
    expect(await world.settled(failed)).toMatchObject({ code: 'unavailable' })
    expect(world.faults).toEqual([])
    await world.close()
  })
})
