import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FeedBatch } from '../cluster.ts'
import type { StateNode } from '../index.ts'
import { auctionIdOf, createAuction, enlistServer, placeBid } from '../replica/testing/workload.ts'
import { freePort, hashesOf, NodeBench, type TestMembers, until } from './testing/nodes.ts'

let bench: NodeBench

beforeEach(() => {
  bench = new NodeBench()
})

afterEach(async () => {
  await bench.close()
})

describe('state nodes', () => {
  it('NODE1: three nodes of several groups make a cluster, take commands, feed, and continue after a restart', async () => {
    const members = await bench.membersOf(3)
    const nodes = await Promise.all([1, 2, 3].map((nodeId) => bench.open(nodeId, members)))
    const remote = await bench.link(members)
    expect(remote.groups).toEqual([0, 1, 2])
    expect(new Set(nodes.map(({ clusterId }) => clusterId))).toEqual(new Set([remote.clusterId]))
    const fed: FeedBatch[] = []
    for (const groupId of remote.groups) {
      remote.subscribe(groupId, (batch) => fed.push(batch))
      await remote.propose(groupId, enlistServer)
    }
    for (let at = 0; at < 12; at++) {
      const groupId = remote.groupOf(auctionIdOf(at))
      expect(await remote.propose(groupId, createAuction(at))).toMatchObject({ ok: true })
      expect(await remote.propose(groupId, placeBid(at, at))).toMatchObject({ ok: true })
    }
    const page = await remote.auctions({ limit: 100 })
    expect(page.auctions).toHaveLength(12)
    expect(new Set(fed.map(({ groupId }) => groupId)).size).toBe(3)

    const [first] = nodes as [StateNode]
    await first.close()
    for (let at = 12; at < 24; at++) {
      const groupId = remote.groupOf(auctionIdOf(at))
      expect(await remote.propose(groupId, createAuction(at))).toMatchObject({ ok: true })
    }
    const again = await bench.open(1, members)
    await until(() => again.isReady() && hashesOf(again) === hashesOf(nodes[1] as StateNode))
  })

  it('NODE1: a folder is used by its node, in its cluster, with its number of groups, and by no other', async () => {
    const members = await bench.membersOf(1)
    const node = await bench.open(1, members)
    await until(() => node.isReady())
    await node.close()
    const refusal = { code: 'foreign_data' }
    const dataDir = bench.dataDirOf(1)
    await expect(bench.open(1, members, { cluster: 'other' })).rejects.toMatchObject(refusal)
    await expect(bench.open(1, members, { groupCount: 1 })).rejects.toMatchObject(refusal)
    const moved: TestMembers = new Map([[2, { host: '127.0.0.1', port: await freePort() }]])
    await expect(bench.open(2, moved, { dataDir })).rejects.toMatchObject(refusal)
    const again = await bench.open(1, members)
    await until(() => again.isReady())
  })

  it("MEMBER4: members are changed by an operator's command alone, one group at a time", async () => {
    const members = await bench.membersOf(1)
    await bench.open(1, members)
    const remote = await bench.link(members)
    const server = await bench.link(members, 'server:s1')
    const second = { host: '127.0.0.1', port: await freePort() }
    const change = { type: 'add', nodeId: 2, ...second } as const
    expect(await server.changeMembers(remote.groups[0] as never, change)).toMatchObject({
      ok: false,
      code: 'not_allowed',
    })
    expect(await remote.members(remote.groups[0] as never)).toHaveLength(1)
    expect(await remote.changeMembers(remote.groups[0] as never, change)).toMatchObject({
      ok: false,
      code: 'not_connected',
      reason: expect.stringContaining('node 2 is not connected to node 1'),
    })
    const newcomer = await bench.open(2, new Map([...members, [2, second]]), { isJoining: true })
    for (const groupId of remote.groups) {
      await until(async () => (await remote.changeMembers(groupId, change)).ok)
    }
    await until(async () => {
      const all = await Promise.all(remote.groups.map((groupId) => remote.members(groupId)))
      return all.every((rows) => rows.length === 2 && rows.every(({ role }) => role === 'voter'))
    })
    await until(() => newcomer.isReady())
    const [row] = (await remote.members(remote.groups[0] as never)).filter(({ nodeId }) => nodeId === 2)
    expect(row).toMatchObject({ role: 'voter', address: second })
  })
})
