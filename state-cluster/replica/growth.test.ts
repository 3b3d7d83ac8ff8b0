import { describe, expect, it } from 'vitest'
import type { MemberChange } from './membership.ts'
import { Pump } from './testing/pump.ts'
import { type Node, ReplicaBench } from './testing/replica-bench.ts'
import { auctionIdOf, createAuction, enlistServer, placeBid } from './testing/workload.ts'

const learner = (nodeId: number): MemberChange => ({
  type: 'add',
  nodeId,
  host: `host-${nodeId}`,
  port: nodeId,
  incarnation: `folder-${nodeId}`,
})

/** Three nodes that lead, with 400 auctions and bids that the next checkpoint has to write, and learners 4 and 5. */
async function growingGroup(): Promise<{ pump: Pump; leader: Node; others: readonly [number, number] }> {
  const bench = await ReplicaBench.make(
    [1, 2, 3],
    { checkpointMs: 1e9, checkpointRows: 1e6, proposalTimeoutMs: 60_000 },
    3,
  )
  const pump = new Pump(bench)
  await pump.until(() => bench.leader !== undefined)
  const leader = bench.leader as Node
  const others = [1, 2, 3].filter((id) => id !== leader.id) as [number, number]
  await pump.propose(leader, enlistServer)
  for (let i = 0; i < 400; i++) await pump.propose(leader, createAuction(i))
  for (const id of [4, 5]) {
    await bench.newcomer(id)
    const added = leader.replica.change(learner(id))
    await pump.run()
    expect(await added).toMatchObject({ ok: true })
  }
  for (let i = 0; i < 400; i++) await pump.propose(leader, placeBid(i, i))
  return { pump, leader, others }
}

/** Lets the leader promote the next learner; its entry is in the log of all, not yet on the disks that are held. */
async function nextPromotion(pump: Pump, leader: Node): Promise<void> {
  const before = leader.replica.status().lastIndex
  await pump.until(() => leader.replica.status().lastIndex > before, 48)
}

describe('a group that grows', () => {
  it('STORE5: who holds a change of members knows after a crash that the one before it is committed', async () => {
    const { pump, leader, others } = await growingGroup()
    const { bench } = pump
    const [a, b] = others
    pump.held = new Set(others)
    await nextPromotion(pump, leader)
    await pump.release(a, 1)
    await pump.release(b, 1)
    await nextPromotion(pump, leader)
    // The second change becomes durable on both; their checkpoint of the first is still under way.
    await pump.release(a, 2)
    await pump.release(b, 2)
    pump.isolate(...others)
    const bid = await pump.propose(leader, placeBid(9_999, 0))
    expect(bid).toMatchObject({ ok: true })

    const nodes = others.map((id) => pump.node(id))
    for (const node of nodes) bench.crash(node, false)
    pump.held = new Set()
    for (const node of nodes) await bench.reopen(node.id, node.disk)
    await pump.tick(200)
    // Two of five voters: they must not elect one of themselves, whatever of their writes a crash has taken.
    expect(others.map((id) => pump.node(id).replica.status().isLeader)).toEqual([false, false])

    pump.heal()
    await pump.tick(80)
    for (const node of bench.nodes.values()) expect(node.fatal).toBeUndefined()
    const price = leader.replica.applied.state.auctions.get(auctionIdOf(0))?.price
    const prices = [...bench.nodes.values()].map(
      ({ replica }) => replica.applied.state.auctions.get(auctionIdOf(0))?.price,
    )
    expect(new Set(prices)).toEqual(new Set([price]))
  })

  it('STORE5: a commit index that rises with entries is durable with them; alone it is not written', async () => {
    const bench = await ReplicaBench.make([1, 2, 3], {}, 3)
    const pump = new Pump(bench)
    await pump.until(() => bench.leader !== undefined)
    const leader = bench.leader as Node
    await pump.propose(leader, enlistServer)
    for (let i = 0; i < 5; i++) await pump.propose(leader, createAuction(i))
    const follower = [...bench.nodes.values()].find((node) => node !== leader) as Node
    const { commitIndex, lastIndex } = follower.replica.status()
    expect(commitIndex).toBe(lastIndex)
    bench.crash(follower, false)
    const again = await bench.open(follower.id, follower.disk)
    // The commit of the last entry came in a message of its own; that of all before came with entries.
    expect(again.replica.status().commitIndex).toBe(lastIndex - 1)
  })
})

describe('a leader that is elected again', () => {
  it('STORE10: every promise of its earlier terms settles, and nothing of them counts', async () => {
    const bench = await ReplicaBench.make([1, 2, 3], {}, 3)
    const pump = new Pump(bench)
    await pump.until(() => bench.leader !== undefined)
    const leader = bench.leader as Node
    await pump.propose(leader, enlistServer)
    await pump.propose(leader, createAuction(0))
    const fates = new Map<string, string>()
    let bid = 0
    for (let round = 0; round < 3; round++) {
      pump.isolate(leader.id)
      for (let i = 0; i < 4; i++) {
        const name = `round ${round}, bid ${i}`
        fates.set(name, 'pending')
        leader.replica.propose(placeBid(bid++, 0)).then(
          () => fates.set(name, 'reply'),
          ({ code }: { code: string }) => fates.set(name, code),
        )
        await pump.run()
      }
      const isNext = (node: Node): boolean => node !== leader && node.replica.status().isLeader
      await pump.until(() => [...bench.nodes.values()].some(isNext))
      const next = [...bench.nodes.values()].find(isNext) as Node
      pump.heal()
      await pump.tick(4)
      // Back to the first, which proposes at the same indexes in a later term.
      const third = [...bench.nodes.values()].find((node) => node !== leader && node !== next) as Node
      pump.isLost = ({ from, to }) => from === third.id && to === next.id
      await pump.tick(14)
      next.replica.handOver()
      pump.heal()
      await pump.until(() => leader.replica.status().ready, 40)
      for (let i = 0; i < 4; i++) expect(await pump.propose(leader, placeBid(bid++, 0))).toBeTypeOf('object')
    }
    expect([...fates.values()].filter((fate) => fate !== 'unavailable')).toEqual([])
    expect(leader.replica.status()).toMatchObject({
      inFlightEntries: 0,
      inFlightCommands: 0,
      queuedCommands: 0,
    })
  })
})

describe('a voter that is replaced', () => {
  /** Three voters, one of them dead permanently, and node 4 as the learner that is to replace it. */
  async function replacing(): Promise<{ pump: Pump; leader: Node; dead: number }> {
    const bench = await ReplicaBench.make([1, 2, 3], {}, 3)
    const pump = new Pump(bench)
    await pump.until(() => bench.leader !== undefined)
    const leader = bench.leader as Node
    await pump.propose(leader, enlistServer)
    await pump.propose(leader, createAuction(0))
    const dead = [1, 2, 3].filter((id) => id !== leader.id)[1] as number
    bench.crash(pump.node(dead), true)
    await pump.tick(30)
    await bench.newcomer(4)
    const added = leader.replica.change({ ...learner(4), replaces: dead } as MemberChange)
    await pump.run()
    expect(await added).toMatchObject({ ok: true })
    return { pump, leader, dead }
  }

  it('MEMBER6: the new voter comes and the old one goes by one joint change', async () => {
    const { pump, leader, dead } = await replacing()
    const voters = (): number[] =>
      leader.replica.members().flatMap(({ nodeId, role }) => (role === 'voter' ? [nodeId] : []))
    await pump.until(() => voters().includes(4) && !voters().includes(dead))
    expect(leader.replica.status().ready).toBe(true)
    expect(voters().sort()).toEqual([1, 2, 3, 4].filter((id) => id !== dead))
    expect(await pump.propose(leader, placeBid(1, 0))).toMatchObject({ ok: true })
  })

  it('MEMBER6: a new voter that falls silent, before or after it may vote, does not stop the group', async () => {
    for (const silentAfterTicks of [0, 3, 6, 9, 12, 15]) {
      const { pump, leader, dead } = await replacing()
      await pump.tick(silentAfterTicks)
      pump.isolate(4)
      await pump.tick(100)
      const voters = leader.replica.members().filter(({ role }) => role === 'voter')
      // Two of the three voters live: the old ones, or those with the new one in the dead one's place.
      expect(voters.map(({ nodeId }) => nodeId)).toHaveLength(3)
      expect(voters.some(({ nodeId }) => nodeId === 4)).toBe(!voters.some(({ nodeId }) => nodeId === dead))
      expect(leader.replica.status().ready).toBe(true)
      expect(await pump.propose(leader, placeBid(1, 0))).toMatchObject({ ok: true })
    }
  })
})

describe('a command that would end every replica', () => {
  it('STORE18: is refused by the leader and never enters the log', async () => {
    const bench = await ReplicaBench.make([1, 2, 3], {}, 3)
    const pump = new Pump(bench)
    await pump.until(() => bench.leader !== undefined)
    const leader = bench.leader as Node
    await pump.propose(leader, enlistServer)
    const before = leader.replica.status().lastIndex
    const settings = { outageExtensionMinMs: 5_000, outageThresholdMs: 2_000 }
    const reply = await pump.propose(leader, { type: 'configure_house', settings, features: [60_000] })
    expect(reply).toEqual({ ok: false, code: 'terms_invalid' })
    expect(leader.replica.status().lastIndex).toBe(before)
    for (const node of bench.nodes.values()) expect(node.fatal).toBeUndefined()
  })
})
