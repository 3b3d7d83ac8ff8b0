import { describe, expect, it } from 'vitest'
import type { ReplicaSettings } from './settings.ts'
import { Pump } from './testing/pump.ts'
import { type Node, ReplicaBench } from './testing/replica-bench.ts'
import { auctionIdOf, createAuction, enlistServer, placeBid } from './testing/workload.ts'

const auctionCount = 600
const bidsPerTick = 10

/** Three nodes whose log is short, and a load that never stops. */
class LoadedGroup {
  readonly pump: Pump
  readonly leader: Node
  readonly followerId: number
  snapshots = 0
  /** The follower's disk ends no sync any more. */
  isStuck = false
  #bids = 0

  static async make(settings: Partial<ReplicaSettings> = {}): Promise<LoadedGroup> {
    const bench = await ReplicaBench.make(
      [1, 2, 3],
      {
        logTailBytesMax: 4_000,
        checkpointRows: 200,
        checkpointMs: 1_000,
        proposalTimeoutMs: 60_000,
        memberSilenceMs: 300,
        ...settings,
      },
      3,
    )
    const pump = new Pump(bench)
    await pump.until(() => bench.leader !== undefined)
    const leader = bench.leader as Node
    await pump.propose(leader, enlistServer)
    for (let i = 0; i < auctionCount; i++) void leader.replica.propose(createAuction(i))
    await pump.run()
    return new LoadedGroup(pump, leader)
  }

  private constructor(pump: Pump, leader: Node) {
    this.pump = pump
    this.leader = leader
    this.followerId = [1, 2, 3].find((id) => id !== leader.id) as number
  }

  /** Ticks under load. The follower's disk, if it is held, ends one sync in each. */
  async load(ticks: number): Promise<void> {
    const { pump, leader, followerId } = this
    for (let tick = 0; tick < ticks; tick++) {
      if (pump.held.has(followerId) && !this.isStuck) pump.node(followerId).syncs.shift()?.()
      await pump.tick()
      for (let i = 0; i < bidsPerTick; i++) {
        const number = this.#bids++
        await pump.propose(leader, placeBid(number, number % auctionCount))
      }
    }
  }

  /** The follower is away for so long, and then comes back. */
  async away(ticks: number): Promise<void> {
    const { bench } = this.pump
    const { disk } = this.pump.node(this.followerId)
    bench.crash(this.pump.node(this.followerId), true)
    await this.load(ticks)
    const { replica } = await bench.reopen(this.followerId, disk)
    const nothing = (): void => undefined
    const gap = (): void => {
      this.snapshots += 1
    }
    replica.watch({ batch: nothing, applied: nothing, leader: nothing, gap })
  }

  get lag(): number {
    const { replica } = this.pump.node(this.followerId)
    return this.leader.replica.status().appliedIndex - replica.status().appliedIndex
  }

  /** Entries on the leader's disk. */
  get logLength(): number {
    const { firstIndex, lastIndex } = this.leader.replica.status()
    return lastIndex - firstIndex + 1
  }
}

describe('a follower that lags under load', () => {
  it('SNAP5: with a slow disk it takes one snapshot and is in step again while the load goes on', async () => {
    const group = await LoadedGroup.make()
    await group.load(10)
    await group.away(60)
    group.pump.held.add(group.followerId)
    await group.load(200)
    expect(group.snapshots).toBe(1)
    expect(group.lag, 'entries of two ticks').toBeLessThan(3 * bidsPerTick)
    group.pump.held.clear()
    await group.load(100)
    expect(group.logLength, 'what nobody needs any more has gone').toBeLessThan(600)
  })

  it('SNAP5: one that was away for less than the silence that counts needs no snapshot', async () => {
    const group = await LoadedGroup.make({ memberSilenceMs: 60_000 })
    await group.load(10)
    await group.away(60)
    await group.load(40)
    expect(group.snapshots).toBe(0)
    expect(group.lag).toBeLessThan(3 * bidsPerTick)
  })

  it('SNAP5: one that is silent for longer is not waited for, nor is one beyond the bound', async () => {
    const silent = await LoadedGroup.make()
    silent.pump.bench.crash(silent.pump.node(silent.followerId), true)
    await silent.load(120)
    expect(silent.logLength).toBeLessThan(600)

    const bounded = await LoadedGroup.make({ logKeptBytesMax: 20_000 })
    bounded.pump.held.add(bounded.followerId)
    bounded.isStuck = true
    await bounded.load(200)
    expect(bounded.lag, 'it answers heartbeats and stores nothing').toBeGreaterThan(1_900)
    expect(bounded.logLength, '24 kB, and what came since the last checkpoint').toBeLessThan(800)
  })
})

describe('a snapshot beside checkpoints of the follower', () => {
  it('SNAP6: neither loses events of the other, whatever of both is under way', async () => {
    const group = await LoadedGroup.make({ checkpointRows: 1e6, checkpointMs: 1e9, logTailBytesMax: 4_000 })
    const { pump, leader, followerId } = group
    const { bench } = pump
    const seqs = (node: Node): string =>
      JSON.stringify(
        Array.from({ length: auctionCount }, (_, at) => {
          const { state } = node.replica.applied
          const { seq } = state.auctions.get(auctionIdOf(at)) ?? { seq: 0 }
          return node.replica.applied.events(auctionIdOf(at), 1, seq + 1).length
        }),
      )
    const saved = async (node: Node): Promise<void> => {
      let isSaved = false
      void node.replica.checkpointed().then(() => {
        isSaved = true
      })
      await pump.until(() => isSaved)
    }
    await group.load(40)
    for (let round = 0; round < 3; round++) {
      // It has applied events that no checkpoint has written.
      await saved(pump.node(followerId))
      await group.load(20)
      pump.isolate(followerId)
      await group.load(40)
      await saved(leader)
      await group.load(20)
      await saved(leader)
      pump.heal()
      pump.held.add(followerId)
      const follower = pump.node(followerId)
      for (let tick = 0; tick < 150; tick++) {
        if (tick % 4 === round) void follower.replica.checkpointed().catch(() => undefined)
        await group.load(1)
      }
      pump.held.clear()
      await pump.until(() => group.lag === 0 || follower.fatal !== undefined)
      expect(follower.fatal).toBeUndefined()
      await saved(follower)
      expect(follower.fatal).toBeUndefined()
      expect(seqs(follower)).toBe(seqs(leader))
    }
    expect(bench.rare.filter(({ event }) => event.type === 'snapshot_installed').length).toBeGreaterThan(0)
  })
})
