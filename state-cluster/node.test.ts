import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FeedBatch } from './cluster.ts'
import {
  connectCluster,
  openStateNode,
  type RemoteCluster,
  type StateNode,
  systemTiming,
  tcpDial,
} from './index.ts'
import type { StateNodeOptions } from './node.ts'
import { auctionIdOf, createAuction, placeBid, registerServer } from './testing/workload.ts'

let folder: string
let opened: { close(): Promise<void> }[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'martillo-node-'))
})

afterEach(async () => {
  for (const one of opened.reverse()) await one.close()
  opened = []
  await rm(folder, { recursive: true })
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

type Members = Map<number, { host: string; port: number }>

async function membersOf(count: number): Promise<Members> {
  const members: Members = new Map()
  for (let nodeId = 1; nodeId <= count; nodeId++)
    members.set(nodeId, { host: '127.0.0.1', port: await freePort() })
  return members
}

async function open(
  nodeId: number,
  members: Members,
  more: Partial<StateNodeOptions> = {},
): Promise<StateNode> {
  const node = await openStateNode({
    dataDir: join(folder, `node-${nodeId}`),
    nodeId,
    listen: members.get(nodeId) as { host: string; port: number },
    members,
    cluster: 'test',
    groupCount: 3,
    note: () => undefined,
    onFatal(error) {
      throw error
    },
    ...more,
  })
  opened.push(node)
  return node
}

async function link(members: Members): Promise<RemoteCluster> {
  const remote = await connectCluster({
    nodes: [...members.values()],
    dial: tcpDial(),
    timing: systemTiming,
    instance: 'test',
  })
  opened.push(remote)
  return remote
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10))
}

const hashes = (node: StateNode): string =>
  node
    .status()
    .groups.map(({ appliedIndex, stateHash }) => `${appliedIndex} ${stateHash}`)
    .join(', ')

describe('state nodes', () => {
  it('NODE1: three nodes of several groups make a cluster, take commands, feed, and go on after a restart', async () => {
    const members = await membersOf(3)
    const nodes = await Promise.all([1, 2, 3].map((nodeId) => open(nodeId, members)))
    const remote = await link(members)
    expect(remote.groups).toEqual([0, 1, 2])
    expect(new Set(nodes.map(({ clusterId }) => clusterId))).toEqual(new Set([remote.clusterId]))
    const fed: FeedBatch[] = []
    for (const groupId of remote.groups) {
      remote.subscribe(groupId, (batch) => fed.push(batch))
      await remote.propose(groupId, registerServer)
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
    const again = await open(1, members)
    await until(() => again.isReady() && hashes(again) === hashes(nodes[1] as StateNode))
  })

  it('NODE1: a folder is used by its node, in its cluster, with its number of groups, and by no other', async () => {
    const members = await membersOf(1)
    const node = await open(1, members)
    await until(() => node.isReady())
    await node.close()
    const refusal = { code: 'foreign_data' }
    const dataDir = join(folder, 'node-1')
    await expect(open(1, members, { cluster: 'other' })).rejects.toMatchObject(refusal)
    await expect(open(1, members, { groupCount: 1 })).rejects.toMatchObject(refusal)
    const moved: Members = new Map([[2, { host: '127.0.0.1', port: await freePort() }]])
    await expect(open(2, moved, { dataDir })).rejects.toMatchObject(refusal)
    const again = await open(1, members)
    await until(() => again.isReady())
  })

  it('MEMBER4: changes need the secret of the cluster where it has one, and concern one group at a time', async () => {
    const members = await membersOf(1)
    await open(1, members, { secret: 'open sesame' })
    const remote = await link(members)
    const second = { host: '127.0.0.1', port: await freePort() }
    const change = { type: 'add', nodeId: 2, ...second } as const
    expect(await remote.changeMembers(remote.groups[0] as never, change, 'guessed')).toMatchObject({
      ok: false,
    })
    expect(await remote.members(remote.groups[0] as never)).toHaveLength(1)
    const newcomer = await open(2, new Map([...members, [2, second]]), { isJoining: true })
    for (const groupId of remote.groups) {
      expect(await remote.changeMembers(groupId, change, 'open sesame')).toEqual({ ok: true, reason: '' })
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
