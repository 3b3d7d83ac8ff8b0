import { describe, expect, it } from 'vitest'
import { Random } from '../../runtime/random.ts'
import { type Row, stateHash } from '../machine/index.ts'
import { eventsRange, incomingRange, installingKey, isEventKey, keyAfter } from '../storage/layout.ts'
import type { StoreRange } from '../storage/store.ts'
import { auctionMachine } from './applied-state.ts'
import type { GroupWatcher } from './feed.ts'
import type { RareEvent } from './rare-events.ts'
import type { ReplicaSettings } from './settings.ts'
import { groupId, type Node, ReplicaBench } from './testing/replica-bench.ts'
import { auctionIdOf, createAuction, enlistServer, placeBid } from './testing/workload.ts'

/** Checkpoints after a few rows and keeps hardly any log, so that a node that was away needs a snapshot. */
const settings = {
  checkpointRows: 5,
  logTailBytesMax: 2_000,
  memberSilenceMs: 0,
  proposalTimeoutMs: 60_000,
}

async function leaderOf(bench: ReplicaBench): Promise<Node> {
  await bench.until(() => bench.leader !== undefined)
  return bench.leader as Node
}

/** Proposes to the leader; resolves when it is applied. */
async function propose(
  bench: ReplicaBench,
  command: Parameters<Node['replica']['propose']>[0],
): Promise<void> {
  const leader = await leaderOf(bench)
  let isDone = false
  void leader.replica.propose(command).then(() => {
    isDone = true
  })
  await bench.until(() => isDone)
}

async function bids(bench: ReplicaBench, from: number, count: number): Promise<void> {
  for (let at = from; at < from + count; at++) await propose(bench, placeBid(at, at % 3))
}

async function begin(
  voters: readonly number[],
  seed = 1,
  own: Partial<ReplicaSettings> = settings,
): Promise<ReplicaBench> {
  const bench = await ReplicaBench.make(voters, own, seed)
  await propose(bench, enlistServer)
  for (let at = 0; at < 3; at++) await propose(bench, createAuction(at))
  return bench
}

const hashOf = (node: Node): string => stateHash(node.replica.applied.state)

function isEqual(bench: ReplicaBench): boolean {
  const marks = [...bench.nodes.values()].map(
    (node) => `${node.replica.applied.appliedIndex} ${hashOf(node)} ${node.replica.status().isInstalling}`,
  )
  return marks.every((mark) => mark === marks[0])
}

/** Whole histories, so that rows of the history have come along as well. */
function histories(node: Node): string {
  const { applied } = node.replica
  return JSON.stringify(
    [0, 1, 2].map((at) => {
      const { seq } = applied.state.auctions.get(auctionIdOf(at)) ?? { seq: 0 }
      return applied.events(auctionIdOf(at), 1, seq + 1)
    }),
  )
}

/** What a disk holds, also one whose power is cut. */
function hasRows({ disk }: Node, { from, to }: StoreRange): boolean {
  const [low, high] = [from, to].map((key) => Buffer.from(key).toString('latin1')) as [string, string]
  return [...disk.rows.keys()].some((key) => key >= low && key < high)
}

/** Leaves node 3 so far behind that the log no longer reaches it. */
async function outrun(bench: ReplicaBench, from: number): Promise<Node> {
  const away = bench.nodes.get(3) as Node
  bench.crash(away, true)
  await bids(bench, from, 60)
  const leader = await leaderOf(bench)
  await bench.until(() => leader.replica.status().firstIndex > away.replica.status().lastIndex + 1)
  return away
}

describe('snapshots between replicas', () => {
  it('SNAP1: a follower that the log does not reach gets state and history, and continues from there', async () => {
    const bench = await begin([1, 2, 3])
    await bids(bench, 0, 5)
    const away = await outrun(bench, 5)
    const back = await bench.reopen(3, away.disk)
    const gaps: number[] = []
    const nothing = (): void => undefined
    const watcher: GroupWatcher = {
      batch: nothing,
      applied: nothing,
      leader: nothing,
      gap: (index) => gaps.push(index),
    }
    back.replica.watch(watcher)
    await bench.until(() => isEqual(bench))
    expect(gaps).toHaveLength(1)
    const leaderId = (await leaderOf(bench)).id
    const events = bench.rare.filter(({ event }) => event.type.startsWith('snapshot'))
    expect(events, 'RARE1: both sides report it').toEqual([
      {
        nodeId: leaderId,
        event: { type: 'snapshot_sent', to: 3, index: gaps[0], reason: 'compacted' },
      },
      { nodeId: 3, event: { type: 'snapshot_installed', index: gaps[0], reason: 'compacted' } },
    ])
    expect(histories(back)).toBe(histories(await leaderOf(bench)))
    await bids(bench, 100, 5)
    await bench.until(() => isEqual(bench))
    expect([...back.store.range(incomingRange(groupId))], 'nothing is left of the transfer').toEqual([])
  })

  it('SNAP6: of the history only what the follower lacks comes along, also where the transfer broke', async () => {
    const bench = await begin([1, 2, 3])
    await bids(bench, 0, 500)
    const away = await outrun(bench, 500)
    const isEvents = (key: string): boolean => isEventKey(groupId, Buffer.from(key, 'latin1'))
    const leader = await leaderOf(bench)
    const blocks = [...leader.store.range(eventsRange(groupId))].length
    expect(blocks).toBeGreaterThan(15)
    const back = await bench.reopen(3, away.disk)
    await bench.until(() => isEqual(bench))
    const first = bench.snapshotKeys.filter(isEvents)
    expect(first.length, 'the last block that it has, and those after it').toBeGreaterThan(2)
    expect(first.length).toBeLessThanOrEqual(9)
    expect(histories(back)).toBe(histories(leader))

    bench.snapshotKeys.length = 0
    const again = await outrun(bench, 600)
    let pages = 0
    // After the blocks, at the question about the rows; and then there is no going on.
    bench.breaksTransfer = () => ++pages === 3
    const last = await bench.reopen(3, again.disk)
    await bench.until(() => isEqual(bench))
    const carried = bench.snapshotKeys.filter(isEvents)
    expect(bench.rare.filter(({ event }) => event.type === 'snapshot_broken')).toHaveLength(1)
    expect(carried.length, 'none twice').toBe(new Set(carried).size)
    expect(histories(last)).toBe(histories(leader))
  })

  it('SNAP7: a transfer that broke goes on where it was, and with another state from the beginning', async () => {
    for (const snapshotResumeMs of [30_000, 0]) {
      const bench = await begin([1, 2, 3], 1, { ...settings, snapshotResumeMs })
      const away = bench.nodes.get(3) as Node
      bench.crash(away, true)
      const { replica } = await leaderOf(bench)
      let done = 0
      const count = (): void => {
        done += 1
      }
      for (let at = 3; at < 2_003; at++) void replica.propose(createAuction(at)).then(count)
      await bench.until(() => {
        const { firstIndex, checkpointIndex, appliedIndex } = replica.status()
        return (
          done === 2_000 &&
          checkpointIndex === appliedIndex &&
          firstIndex > away.replica.status().lastIndex + 1
        )
      })
      let pages = 0
      const { checkpointIndex } = replica.status()
      // Until there is another checkpoint than the one that was being sent.
      bench.breaksTransfer = () => ++pages >= 12 && replica.status().checkpointIndex === checkpointIndex
      const back = await bench.reopen(3, away.disk)
      await bench.until(() => pages >= 12)
      for (let at = 0; at < 30; at++) void replica.propose(placeBid(at, at % 3)).then(count)
      await bench.until(() => done === 2_030 && isEqual(bench))
      const isState = (key: string): boolean => !isEventKey(groupId, Buffer.from(key, 'latin1'))
      const rows = bench.snapshotKeys.filter(isState)
      const repeated = rows.length - new Set(rows).size
      expect(bench.rare.some(({ event }) => event.type === 'snapshot_broken')).toBe(true)
      if (snapshotResumeMs > 0) expect(repeated).toBe(0)
      else expect(repeated, 'what came before the break').toBeGreaterThan(500)
      expect(back.replica.applied.state.auctions.size).toBe(2_003)
      expect([...back.store.range(incomingRange(groupId))]).toEqual([])
    }
  })

  it('SNAP2: killed at any moment of taking it over, a replica starts again and gets there', async () => {
    const stages = new Set<string>()
    const key = installingKey(groupId)
    const installing = { from: key, to: keyAfter(key) }
    for (let seed = 1; seed <= 12; seed++) {
      const random = new Random(seed)
      const bench = await begin([1, 2, 3], seed)
      const away = await outrun(bench, 0)
      let node = await bench.reopen(3, away.disk)
      for (let crash = 0; crash < 4; crash++) {
        // Until the first rows are there, or all is over; then a few steps on.
        for (let ticks = 0; ticks < 100 && !hasRows(node, incomingRange(groupId)); ) {
          if (await bench.step()) continue
          bench.clock.advance(25)
          ticks += 1
        }
        for (let steps = random.below(40); steps > 0; steps--) await bench.step()
        bench.crash(node, random.chance(0.5))
        if (hasRows(node, installing)) stages.add('while it was installed')
        else if (hasRows(node, incomingRange(groupId))) stages.add('while it came')
        node = await bench.reopen(3, node.disk)
      }
      await bench.until(() => isEqual(bench))
      expect(histories(node)).toBe(histories(await leaderOf(bench)))
      expect([...bench.nodes.values()].map(({ fatal }) => fatal)).toEqual([undefined, undefined, undefined])
    }
    expect([...stages].sort(), 'the crashes met both').toEqual(['while it came', 'while it was installed'])
  })

  it('SNAP4: a big snapshot is taken over in turns of bounded work; killed among them, a replica starts again', async () => {
    const bench = await begin([1, 2, 3])
    let made = 3
    /** Leaves node 3 behind by so many auctions. */
    const outgrow = async (count: number): Promise<Node> => {
      const away = bench.nodes.get(3) as Node
      bench.crash(away, true)
      const { replica } = await leaderOf(bench)
      const end = made + count
      let done = made
      for (; made < end; made++)
        void replica.propose(createAuction(made)).then(() => {
          done += 1
        })
      await bench.until(() => {
        const { firstIndex, checkpointIndex, appliedIndex } = replica.status()
        const isSaved = checkpointIndex === appliedIndex
        return done === end && isSaved && firstIndex > away.replica.status().lastIndex + 1
      })
      return away
    }
    let rowsInTurn = 0
    let restoredRows = 0
    const counted = function* (rows: Iterable<Row>): Generator<Row> {
      for (const row of rows) {
        rowsInTurn += 1
        restoredRows += 1
        yield row
      }
    }
    const { restoring } = auctionMachine
    bench.machine = { ...auctionMachine, restoring: (rows) => restoring(counted(rows)) }
    let longest = 0
    const work = async (isOver: () => boolean): Promise<void> => {
      while (!isOver()) {
        rowsInTurn = 0
        if (!(await bench.step())) bench.clock.advance(25)
        longest = Math.max(longest, rowsInTurn)
      }
    }

    let node = await bench.reopen(3, (await outgrow(3_000)).disk)
    await work(() => isEqual(bench))
    expect(histories(node)).toBe(histories(await leaderOf(bench)))
    expect(restoredRows, 'terms and auctions').toBeGreaterThan(6_000)
    expect(longest).toBeGreaterThan(0)
    expect(longest).toBeLessThanOrEqual(1_024)

    node = await bench.reopen(3, (await outgrow(500)).disk)
    restoredRows = 0
    await work(() => restoredRows > 3_000)
    expect(node.replica.status().isInstalling).toBe(true)
    bench.crash(node, false)
    node = await bench.reopen(3, node.disk)
    await work(() => isEqual(bench))
    expect(node.replica.applied.state.auctions.size).toBe(3_503)
  })

  it('SNAP3: a damaged row is found by the sender, which stops serving; nothing of it is taken over', async () => {
    const bench = await begin([1, 2, 3])
    const away = await outrun(bench, 0)
    const leader = await leaderOf(bench)
    const [row] = [...leader.store.range({ from: Uint8Array.of(0, 0, 0x30), to: Uint8Array.of(0, 0, 0x31) })]
    expect(leader.disk.flipBit((row as { key: Uint8Array }).key, 77)).toBe(true)
    await bench.reopen(3, away.disk)
    await bench.until(() => leader.fatal !== undefined)
    expect(leader.fatal).toMatchObject({ code: 'corrupt' })
  })
})

describe('rare events', () => {
  it('RARE1: an election, a hand-over, unknown outcomes and a newcomer are reported, each once', async () => {
    const bench = await begin([1, 2, 3], 1, { ...settings, proposalTimeoutMs: 2_000 })
    const of = (...types: readonly RareEvent['type'][]) =>
      bench.rare.splice(0).filter(({ event }) => types.includes(event.type))
    const first = await leaderOf(bench)
    expect(of('elected')).toMatchObject([{ nodeId: first.id }])
    await bids(bench, 0, 40)
    expect(bench.rare).toEqual([])

    first.replica.handOver()
    await bench.until(() => bench.leader !== undefined && bench.leader !== first)
    const next = bench.leader as Node
    expect(of('handover', 'campaign', 'elected')).toMatchObject([
      { nodeId: first.id, event: { type: 'handover', to: next.id } },
      { nodeId: next.id, event: { type: 'campaign' } },
      { nodeId: next.id, event: { type: 'elected' } },
    ])

    await bench.newcomer(4)
    void next.replica.change({ type: 'add', nodeId: 4, host: 'fourth', port: 4 })
    await bench.until(() => isEqual(bench) && next.replica.members().length === 4)
    expect(of('snapshot_sent', 'snapshot_installed')).toMatchObject([
      { nodeId: next.id, event: { to: 4, reason: 'new_member' } },
      { nodeId: 4, event: { reason: 'new_member' } },
    ])

    for (const node of [...bench.nodes.values()]) if (node !== next) bench.crash(node, true)
    let code = ''
    void next.replica.propose(placeBid(1_000, 0)).catch((error: { code: string }) => {
      code = error.code
    })
    await bench.until(() => code !== '')
    expect(code).toBe('unknown')
    expect(of('unknown_outcomes')).toMatchObject([{ nodeId: next.id, event: { count: 1 } }])
  })
})

describe('members', () => {
  const roles = (node: Node): string =>
    node.replica
      .members()
      .map((member) => `${member.nodeId} ${member.role}`)
      .join(', ')

  it('MEMBER1: a node that joins learns first, votes once it has caught up, and knows where all are', async () => {
    const bench = await begin([1, 2, 3])
    await bids(bench, 0, 40)
    const newcomer = await bench.newcomer(4)
    const leader = await leaderOf(bench)
    const outcome = leader.replica.change({ type: 'add', nodeId: 4, host: 'fourth', port: 4 })
    await bench.until(() => roles(leader) === '1 voter, 2 voter, 3 voter, 4 learner')
    expect(await outcome).toEqual({ ok: true })
    await bench.until(() => roles(leader) === '1 voter, 2 voter, 3 voter, 4 voter')
    await bench.until(() => isEqual(bench))
    expect(roles(newcomer)).toBe('1 voter, 2 voter, 3 voter, 4 voter')
    expect(newcomer.replica.addresses.get(4)).toEqual({ host: 'fourth', port: 4 })
    expect(histories(newcomer)).toBe(histories(leader))
    bench.crash(newcomer, true)
    const again = await bench.reopen(4, newcomer.disk)
    expect(again.replica.addresses.get(4)).toEqual({ host: 'fourth', port: 4 })
  })

  it('MEMBER2: a change that would leave no reachable majority is refused, and says why', async () => {
    const bench = await begin([1, 2, 3])
    const leader = await leaderOf(bench)
    const [other, third] = [...bench.nodes.values()].filter((node) => node !== leader) as [Node, Node]
    bench.crash(third, true)
    await bench.advance(1_000)
    const stays = await leader.replica.change({ type: 'remove', nodeId: other.id })
    expect(stays).toEqual({
      ok: false,
      code: 'unreachable',
      reason: `without node ${other.id}, 1 of 2 voters would be reachable and 2 are needed: bring back node ${third.id} first`,
    })
    const leaves = leader.replica.change({ type: 'remove', nodeId: third.id })
    await bench.until(() => leader.replica.members().length === 2)
    expect(await leaves).toEqual({ ok: true })
    expect(await leader.replica.change({ type: 'remove', nodeId: 9 })).toMatchObject({
      code: 'not_member',
    })
    const alone = await begin([1])
    expect(await alone.only.replica.change({ type: 'remove', nodeId: 1 })).toEqual({
      ok: false,
      code: 'only_voter',
      reason: 'node 1 is the only voter: without it there is no cluster',
    })
  })

  it('MEMBER3: a leader hands over before it is removed', async () => {
    const bench = await begin([1, 2, 3])
    const leader = await leaderOf(bench)
    expect(await leader.replica.change({ type: 'remove', nodeId: leader.id })).toMatchObject({
      ok: false,
      code: 'leader_leaves',
    })
    await bench.until(() => bench.leader !== undefined && bench.leader !== leader)
    const next = bench.leader as Node
    const outcome = next.replica.change({ type: 'remove', nodeId: leader.id })
    await bench.until(() => next.replica.members().length === 2)
    expect(await outcome).toEqual({ ok: true })
    bench.crash(leader, true)
    await bids(bench, 0, 5)
  })
})

describe('reads and succession', () => {
  it('NODE3: a linearizable read waits for the index that a majority confirms; an old leader gives none', async () => {
    const bench = await begin([1, 2, 3])
    const leader = await leaderOf(bench)
    let index: number | undefined
    void leader.replica.readIndex().then((answer) => {
      index = answer
    })
    await bench.until(() => index !== undefined)
    expect(index).toBe(leader.replica.applied.appliedIndex)
    for (const node of [...bench.nodes.values()]) if (node !== leader) bench.crash(node, true)
    let late: number | undefined | 'waiting' = 'waiting'
    void leader.replica.readIndex().then((answer) => {
      late = answer
    })
    await bench.until(() => late !== 'waiting')
    expect(late).toBeUndefined()
  })

  it('NODE2: a voter that learns that the leader is gone campaigns before the election timeout', async () => {
    const bench = await begin([1, 2, 3])
    const leader = await leaderOf(bench)
    bench.crash(leader, true)
    for (const { replica } of bench.nodes.values()) replica.peerGone(leader.id)
    await bench.advance(250)
    expect(bench.leader).toBeDefined()
  })
})

describe('the consistency guard', () => {
  it('GUARD1: a replica whose state a majority contradicts at the same index stops, and the others continue', async () => {
    const bench = await begin([1, 2, 3])
    const reported: [number, number, string][] = []
    bench.onHash = (nodeId, index, hash) => reported.push([nodeId, index, hash])
    await bids(bench, 0, 260)
    const index = reported[0]?.[1] as number
    expect(index % 256).toBe(0)
    await bench.until(() => reported.filter((one) => one[1] === index).length === 3)
    expect(new Set(reported.map(([, , hash]) => hash)).size, 'they hold the same').toBe(1)
    const odd = bench.nodes.get(3) as Node
    odd.replica.hashOf(1, index, 'another')
    expect(odd.fatal).toBeUndefined()
    odd.replica.hashOf(2, index, 'another')
    expect(odd.fatal).toMatchObject({
      code: 'state_differs',
      message: expect.stringContaining('must not be used'),
    })
    expect(() => odd.replica.read(() => 0)).toThrow()
    bench.crash(odd, true)
    await bids(bench, 300, 3)
  })
})
