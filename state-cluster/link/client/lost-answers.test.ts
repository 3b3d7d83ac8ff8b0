import { describe, expect, it } from 'vitest'
import type { AuctionId, GroupId, ServerId } from '../../../protocol/ids.ts'
import { group } from '../../peers/testing/fixtures.ts'
import { createAuction, enlistServer, FakeCluster, withMethods } from '../testing/fake-cluster.ts'
import { VirtualWorld } from '../testing/virtual.ts'

const zero = group(0)
const lot = 'lot' as AuctionId
const poison = 'poison' as AuctionId

/** Nodes that end the connection of a client that reads the poison or releases a server, and count that. */
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
      propose: async (groupId, commands) => {
        if (commands[0]?.type !== 'release_server') return await node.propose(groupId, commands)
        asked.push(node.nodeId)
        world.clock.setTimer(50, () => cluster.elect((node.nodeId % nodeCount) + 1))
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

  it('LINK12: a read of an unknown group is refused without a request', async () => {
    const { world, cluster } = await scene(3)
    const link = await world.link('reader', cluster.nodes)
    const failed = link.owners(999 as GroupId).catch((error) => error)
    expect(await world.settled(failed)).toMatchObject({ code: 'unavailable' })
    expect(world.faults).toEqual([])
    await world.close()
  })

  it('LINK12: a command on which two nodes ended the connection is sent to no third: its outcome is unknown', async () => {
    const { world, cluster, asked } = await scene(5)
    const link = await world.link('writer', cluster.nodes)
    await world.run(50)
    await world.settled(link.propose(zero, enlistServer))
    const release = { type: 'release_server', serverId: 'server-1' as ServerId, epoch: 1 } as const
    const failed = link.propose(zero, release).catch((error) => error)
    expect(await world.settled(failed)).toMatchObject({ code: 'unknown' })
    await world.run(6_000)
    expect([...new Set(asked)]).toEqual([1, 2])
    await world.close()
  })
})
