import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { GroupId } from '../../protocol/ids.ts'
import { helloOf } from '../../wire/testing/fixtures.ts'
import { clusterIdOf, type RemoteCluster, restoreBackup, type StateNode } from '../index.ts'
import { auctionIdOf, createAuction, enlistServer, placeBid } from '../replica/testing/workload.ts'
import type { MemberAddress } from '../storage/member-record.ts'
import { Identities } from './identity.ts'
import { freePort, hashesOf, NodeBench, type TestMembers, until } from './testing/nodes.ts'

let bench: NodeBench

beforeEach(() => {
  bench = new NodeBench()
})

afterEach(async () => {
  await bench.close()
})

const isUp = (nodes: readonly StateNode[]) => until(() => nodes.every((node) => node.isReady()))

async function three(members: TestMembers): Promise<StateNode[]> {
  const nodes = await Promise.all([1, 2, 3].map((nodeId) => bench.open(nodeId, members)))
  await isUp(nodes)
  return nodes
}

async function begin(remote: RemoteCluster): Promise<void> {
  for (const groupId of remote.groups) {
    await remote.propose(groupId, enlistServer)
  }
  for (let at = 0; at < 6; at++) await remote.propose(remote.groupOf(auctionIdOf(at)), createAuction(at))
}

async function bid(remote: RemoteCluster, from: number, count: number): Promise<void> {
  for (let at = from; at < from + count; at++) {
    const command = placeBid(at, at % 6)
    expect(await remote.propose(remote.groupOf(auctionIdOf(at % 6)), command)).toMatchObject({ ok: true })
  }
}

/** A group of members as Identities sees it; notes are held back until `release` is called. */
class Group {
  readonly addresses: Map<number, MemberAddress>
  readonly releases: (() => void)[] = []

  constructor(members: Record<number, string | undefined>) {
    this.addresses = new Map(
      Object.entries(members).map(([nodeId, incarnation]) => [
        Number(nodeId),
        { host: 'h', port: 1, ...(incarnation !== undefined && { incarnation }) },
      ]),
    )
  }

  noteIncarnation(nodeId: number, incarnation: string): Promise<void> {
    const known = this.addresses.get(nodeId)
    if (known === undefined || known.incarnation !== undefined) return Promise.resolve()
    this.addresses.set(nodeId, { ...known, incarnation })
    return new Promise((resolve) => this.releases.push(resolve))
  }
}

function incarnationsOf(group: Group, isFounding: boolean) {
  const reports: string[] = []
  const incarnations = new Identities({
    nodeId: 1,
    incarnation: 'a',
    isFounding,
    groups: [group],
    noted: (nodeId, incarnation) => reports.push(`${nodeId} is ${incarnation}`),
    founded: () => reports.push('founded'),
    failed: (error) => reports.push(String(error)),
  })
  return { incarnations, reports }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('incarnations', () => {
  it('IDENT1: another folder than the record names is refused, and why; what the record does not name is not', () => {
    const { incarnations } = incarnationsOf(new Group({ 1: 'a', 2: 'b', 3: undefined }), false)
    expect(incarnations.judge(helloOf('peer', 2, { incarnation: 'b' }))).toBeUndefined()
    expect(incarnations.judge(helloOf('peer', 3, { incarnation: 'x' }))).toBeUndefined()
    expect(incarnations.judge(helloOf('peer', 4, { incarnation: 'x' }))).toBeUndefined()
    expect(incarnations.judge(helloOf('peer', 2, { incarnation: 'x' }))).toEqual({
      code: 'wrong_incarnation',
      reason: 'node 2 comes with another data folder (x) than it had (b)',
    })
    expect(incarnations.judge(helloOf('peer', 2))?.code).toBe('wrong_incarnation')
  })

  it('IDENT2: a founder takes part when it has noted all others durably, and all others have noted it', async () => {
    const group = new Group({ 1: 'a', 2: undefined, 3: undefined })
    const { incarnations, reports } = incarnationsOf(group, true)
    incarnations.met(2, 'b')
    await settled()
    expect(reports, 'not before it is on the disk').toEqual([])
    for (const release of group.releases.splice(0)) release()
    await settled()
    expect(reports).toEqual(['2 is b'])
    incarnations.acquainted(2)
    incarnations.acquainted(3)
    expect(incarnations.awaited).toEqual([3])
    expect(incarnations.isTaken(2), 'nothing counts while it is founded').toBe(false)
    incarnations.met(3, 'c')
    expect(incarnations.awaited).toEqual([3])
    for (const release of group.releases.splice(0)) release()
    await settled()
    expect(reports).toEqual(['2 is b', '3 is c', 'founded'])
    expect(incarnations.isTaken(2)).toBe(true)
  })

  it('IDENT3: refused by a majority of the others, or while it is founded by one, a node ends; a newcomer waits', () => {
    const five = incarnationsOf(new Group({ 1: 'a', 2: 'b', 3: 'c', 4: 'd', 5: 'e' }), false).incarnations
    expect(five.refusedBy(2)).toBeUndefined()
    expect(five.refusedBy(2)).toBeUndefined()
    expect(five.refusedBy(9), 'who is no member has no say').toBeUndefined()
    expect(five.refusedBy(3)).toBeUndefined()
    expect(five.refusedBy(4)).toMatchObject({ code: 'data_lost' })
    const changed = incarnationsOf(new Group({ 1: 'a', 2: 'b', 3: 'c' }), false).incarnations
    expect(changed.refusedBy(2)).toBeUndefined()
    changed.acquainted(2)
    expect(changed.refusedBy(3)).toBeUndefined()
    const founder = incarnationsOf(new Group({ 1: 'a', 2: undefined, 3: undefined }), true).incarnations
    expect(founder.refusedBy(2)).toMatchObject({ code: 'data_lost' })
    expect(incarnationsOf(new Group({}), false).incarnations.refusedBy(2)).toBeUndefined()
  })

  it('IDENT4: what a member of before says counts when its folder is noted durably', async () => {
    const group = new Group({ 1: 'a', 2: undefined })
    const { incarnations } = incarnationsOf(group, false)
    expect(incarnations.isTaken(2)).toBe(false)
    incarnations.met(2, 'b')
    expect(incarnations.isTaken(2)).toBe(false)
    for (const release of group.releases.splice(0)) release()
    await settled()
    expect(incarnations.isTaken(2)).toBe(true)
    expect(incarnations.judge(helloOf('peer', 2, { incarnation: 'x' }))?.code).toBe('wrong_incarnation')
  })
})

describe('folders of real nodes', () => {
  it('IDENT2: a new cluster begins when all its members have met, and not before', async () => {
    const members = await bench.membersOf(3)
    const notes: string[] = []
    const settings = { tickMs: 5 }
    const first = await bench.open(1, members, { settings, note: (event) => notes.push(event) })
    const second = await bench.open(2, members, { settings })
    await until(() => first.peers().some(({ nodeId, up }) => nodeId === 2 && up))
    await until(() => second.peers().some(({ nodeId, up }) => nodeId === 1 && up))
    expect(notes).toContain('founding')
    // Four times the longest election timeout of two that would campaign.
    await new Promise((resolve) => setTimeout(resolve, 480))
    expect([first, second].map((node) => node.groups().map(({ term }) => term))).toEqual([
      [1, 1, 1],
      [1, 1, 1],
    ])
    expect(notes).not.toContain('founded')
    const third = await bench.open(3, members)
    await isUp([first, second, third])
    expect(notes).toContain('founded')
    await third.close()
    await first.close()
    const again = await bench.open(1, members)
    await isUp([again, second])
  })

  it('IDENT2 and BACKUP2: a backup restored for three nodes is a new cluster, which begins when all have met', async () => {
    const alone = await bench.membersOf(1)
    const source = await bench.open(1, alone)
    const remote = await bench.link(alone)
    await begin(remote)
    await bid(remote, 0, 12)
    const copy: Uint8Array[] = []
    for await (const bytes of source.backup()) copy.push(bytes)
    const stateHashes = source.status().groups.map(({ stateHash }) => stateHash)
    const members = await bench.membersOf(3)
    const dataDirOf = (nodeId: number) => join(bench.folder, `restored-${nodeId}`)
    for (const nodeId of members.keys()) {
      const options = { dataDir: dataDirOf(nodeId), nodeId, clusterId: clusterIdOf('restored'), members }
      await restoreBackup(
        (async function* () {
          yield* copy
        })(),
        { ...options, nowMs: 1 },
      )
    }
    const notes: string[] = []
    const open = (nodeId: number) =>
      bench.open(nodeId, members, {
        dataDir: dataDirOf(nodeId),
        cluster: 'restored',
        note: (event) => notes.push(`${nodeId} ${event}`),
      })
    const nodes = [await open(1), await open(2)]
    await until(() => nodes.every((node) => node.peers().filter(({ up }) => up).length === 1))
    expect(notes.filter((note) => note.endsWith('founded'))).toEqual([])
    nodes.push(await open(3))
    await isUp(nodes)
    expect(notes.filter((note) => note.endsWith(' founded')).sort()).toEqual([
      '1 founded',
      '2 founded',
      '3 founded',
    ])
    expect((nodes[2] as StateNode).status().groups.map(({ stateHash }) => stateHash)).toEqual(stateHashes)
  })

  it('IDENT3: a node that comes back with an empty folder under its number ends, and takes no part before', async () => {
    const members = await bench.membersOf(3)
    const [first, second, third] = (await three(members)) as [StateNode, StateNode, StateNode]
    const remote = await bench.link(members)
    await begin(remote)
    await bid(remote, 0, 20)
    await third.close()
    rmSync(bench.dataDirOf(3), { recursive: true })
    const faults: string[] = []
    let end: Error | undefined
    const blank = await bench.open(3, members, {
      onFatal: (error) => {
        end ??= error
      },
      note: (event, facts) => event === 'peer_fault' && faults.push(String(facts['reason'])),
    })
    await until(() => end !== undefined)
    expect(end).toMatchObject({
      code: 'data_lost',
      message: expect.stringContaining('know node 3 with another'),
    })
    expect(faults.join('\n')).toContain('wrong_incarnation: node 3 comes with another data folder')
    expect(blank.groups().map(({ term, lastIndex }) => [term, lastIndex])).toEqual([
      [1, 1],
      [1, 1],
      [1, 1],
    ])
    await blank.close()
    await bid(remote, 20, 20)
    await until(() => hashesOf(first) === hashesOf(second))
  })

  it('IDENT5: a folder that is older than what it has acknowledged ends its node', async () => {
    const members = await bench.membersOf(3)
    const nodes = (await three(members)) as [StateNode, StateNode, StateNode]
    const remote = await bench.link(members)
    await begin(remote)
    const leads = (node: StateNode) => node.groups()[0]?.isLeader === true
    const away = nodes.find((node) => !leads(node)) as StateNode
    const { nodeId } = away
    const dataDir = bench.dataDirOf(nodeId)
    const copy = join(bench.folder, 'copy')
    await away.close()
    cpSync(join(dataDir, 'state'), copy, { recursive: true })
    const back = await bench.open(nodeId, members)
    await bid(remote, 0, 30)
    await until(() => nodes.every((node) => node === away || hashesOf(node) === hashesOf(back)))
    await back.close()
    rmSync(join(dataDir, 'state'), { recursive: true })
    cpSync(copy, join(dataDir, 'state'), { recursive: true })
    let end: Error | undefined
    await bench.open(nodeId, members, {
      onFatal: (error) => {
        end ??= error
      },
    })
    await until(() => end !== undefined)
    expect(end).toMatchObject({ code: 'old_copy', message: expect.stringContaining('old copy') })
    await bid(remote, 30, 10)
  })

  it('REBUILD1: a joining node is admitted by its folder, and no other may take its place', async () => {
    const members = await bench.membersOf(1)
    await bench.open(1, members, { groupCount: 1 })
    const remote = await bench.link(members)
    await begin(remote)
    const second = { host: '127.0.0.1', port: await freePort() }
    const all: TestMembers = new Map([...members, [2, second]])
    const change = { type: 'add', nodeId: 2, ...second, incarnation: 'expected' } as const
    const group = remote.groups[0] as GroupId
    expect(await remote.changeMembers(group, change)).toMatchObject({ ok: true })
    const faults: string[] = []
    const other = await bench.open(2, all, {
      groupCount: 1,
      isJoining: true,
      note: (event, facts) => event === 'peer_fault' && faults.push(String(facts['reason'])),
    })
    await until(() => faults.some((reason) => reason.includes('wrong_incarnation')))
    expect((await remote.members(group)).find(({ nodeId }) => nodeId === 2)?.matchIndex).toBe(0)
    expect(other.groups()[0]?.lastIndex).toBe(0)
  })
})
