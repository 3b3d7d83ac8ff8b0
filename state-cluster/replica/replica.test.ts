import { describe, expect, it } from 'vitest'
import { Random } from '../../runtime/random.ts'
import type { ClusterError, FeedBatch } from '../cluster.ts'
import type { Command } from '../machine/commands.ts'
import type { Reply } from '../machine/events.ts'
import { apply, emptyState, rows, stateHash } from '../machine/index.ts'
import { checkpointKey, decodeHardState, entryKey, eventBlockKey, hardStateKey } from '../storage/layout.ts'
import { groupId, type Node, ReplicaBench } from './testing/replica-bench.ts'
import { auctionIdOf, createAuction, enlistServer, placeBid } from './testing/workload.ts'

/** What became of a proposal. */
interface Outcome {
  readonly command: Command
  reply?: Reply
  error?: ClusterError
}

function propose(node: Node, command: Command): Outcome {
  const outcome: Outcome = { command }
  node.replica.propose(command).then(
    (reply) => {
      outcome.reply = reply
    },
    (error: ClusterError) => {
      outcome.error = error
    },
  )
  return outcome
}

/** A bench with a leader that has a server and some auctions. */
async function makeHouse(
  auctions: number,
  ...how: Parameters<typeof ReplicaBench.make>
): Promise<{ bench: ReplicaBench; leader: Node; outcomes: Outcome[] }> {
  const bench = await ReplicaBench.make(...how)
  const leaderOf = (): Node | undefined =>
    [...bench.nodes.values()].find((node) => node.replica.status().ready)
  await bench.until(() => leaderOf() !== undefined)
  const leader = leaderOf() as Node
  const outcomes = [propose(leader, enlistServer)]
  for (let number = 0; number < auctions; number++) outcomes.push(propose(leader, createAuction(number)))
  await bench.until(() => outcomes.every((outcome) => outcome.reply?.ok))
  return { bench, leader, outcomes }
}

/** A machine that saw what a replica applied, and the first reply to each request. */
function reference(bench: ReplicaBench, upTo: number): { hash: string; replies: Map<string, Reply> } {
  const state = emptyState()
  const replies = new Map<string, Reply>()
  for (const entry of bench.entriesUpTo(upTo)) {
    const applied = apply(state, entry)
    entry.commands.forEach((command, at) => {
      const id = 'requestId' in command ? command.requestId : JSON.stringify(command)
      if (!replies.has(id)) replies.set(id, applied.replies[at] as Reply)
    })
  }
  return { hash: stateHash(state), replies }
}

function expectSurvived(bench: ReplicaBench, node: Node, outcomes: readonly Outcome[]): void {
  const { hash, replies } = reference(bench, node.replica.status().appliedIndex)
  expect(stateHash(node.replica.applied.state)).toBe(hash)
  for (const { command, reply } of outcomes) {
    if (reply === undefined || !('requestId' in command)) continue
    expect(replies.get(command.requestId)).toEqual(reply)
  }
}

describe('replica, alone', () => {
  it('STORE10: commands of one turn become one entry, and replies come after it is durable', async () => {
    const { bench, leader } = await makeHouse(2, [1])
    const before = leader.replica.status().lastIndex
    const outcomes = Array.from({ length: 50 }, (_, i) => propose(leader, placeBid(i, i % 2)))
    while (leader.syncs.length === 0) await bench.step()
    expect(leader.replica.status().appliedIndex).toBe(before)
    expect(outcomes.some((outcome) => outcome.reply !== undefined)).toBe(false)
    await bench.settle()
    expect(outcomes.every((outcome) => outcome.reply?.ok)).toBe(true)
    expect(leader.replica.status().lastIndex).toBe(before + 1)
    expect(leader.replica.status()).toMatchObject({
      queuedCommands: 0,
      inFlightCommands: 0,
      unappliedEntries: 0,
    })
  })

  it('STORE10: an entry is bounded in commands and bytes', async () => {
    const { bench, leader } = await makeHouse(1, [1], { commandsPerEntryMax: 10, entryBytesMax: 400 })
    const before = leader.replica.status().lastIndex
    const outcomes = Array.from({ length: 100 }, (_, i) => propose(leader, placeBid(i, 0)))
    await bench.settle()
    expect(outcomes.every((outcome) => outcome.reply?.ok)).toBe(true)
    for (let index = before + 1; index <= leader.replica.status().lastIndex; index++) {
      expect(bench.seen.get(index)?.data.length).toBeLessThanOrEqual(400)
    }
    expect(bench.entriesUpTo(leader.replica.status().lastIndex).at(-1)?.commands.length).toBeLessThanOrEqual(
      10,
    )
    expect(leader.replica.status().lastIndex).toBeGreaterThanOrEqual(before + 10)
  })

  it('STORE11: beyond the bound a command is refused as overloaded, and nothing else is', async () => {
    const { bench, leader } = await makeHouse(1, [1], { commandsMax: 20 })
    const outcomes = Array.from({ length: 30 }, (_, i) => propose(leader, placeBid(i, 0)))
    await bench.settle()
    expect(outcomes.filter((outcome) => outcome.reply?.ok).length).toBe(20)
    expect(outcomes.slice(20).map((outcome) => outcome.error?.code)).toEqual(Array(10).fill('overloaded'))
    const later = propose(leader, placeBid(99, 0))
    await bench.settle()
    expect(later.reply?.ok).toBe(true)
  })

  it('STORE11: the commands that wait are bounded in bytes too', async () => {
    const { bench, leader } = await makeHouse(1, [1], { commandBytesMax: 5_000 })
    const outcomes = Array.from({ length: 100 }, (_, i) => propose(leader, placeBid(i, 0)))
    await bench.settle()
    const taken = outcomes.filter((outcome) => outcome.reply?.ok).length
    expect(taken).toBeGreaterThan(10)
    expect(outcomes.slice(taken).every((outcome) => outcome.error?.code === 'overloaded')).toBe(true)
    expect(taken).toBeLessThan(100)
    const bytes = bench.seen.get(leader.replica.status().lastIndex)?.data.length ?? Number.NaN
    expect(bytes, 'what they take in the log').toBeLessThanOrEqual(5_000)
    const later = Array.from({ length: taken - 5 }, (_, i) => propose(leader, placeBid(1_000 + i, 0)))
    await bench.settle()
    expect(later.every((outcome) => outcome.reply?.ok)).toBe(true)
  })

  it('STORE12: stamps never fall, whatever the clock does, also over a restart', async () => {
    const { bench, leader } = await makeHouse(1, [1])
    let node = leader
    for (const jump of [5_000, -60_000, 1, -1, 3_600_000, -7_200_000]) {
      bench.clock.jump(jump)
      const outcome = propose(node, placeBid(Math.abs(jump), 0))
      await bench.settle()
      expect(outcome.reply).toBeDefined()
      if (jump === -60_000) {
        bench.crash(node, false)
        node = await bench.open(1, node.disk)
        await bench.until(() => node.replica.status().ready)
      }
    }
    const stamps = bench.entriesUpTo(node.replica.status().appliedIndex).map((entry) => entry.atMs)
    expect(stamps.length).toBeGreaterThan(6)
    expect(stamps).toEqual([...stamps].sort((a, b) => a - b))
  })

  it('STORE13: the feed gives every entry with events once, in order, with what the replies say', async () => {
    const { bench, leader } = await makeHouse(2, [1])
    const feed: FeedBatch[] = []
    const end = leader.replica.subscribe((batch) => feed.push(batch))
    for (let i = 0; i < 10; i++) {
      propose(leader, placeBid(i, i % 2))
      await bench.settle()
    }
    end()
    propose(leader, placeBid(10, 0))
    await bench.settle()
    expect(feed.map((batch) => batch.index)).toEqual(
      [...feed.map((batch) => batch.index)].sort((a, b) => a - b),
    )
    const seqs = feed.flatMap((batch) => batch.events).filter((event) => event.type === 'bid_placed')
    expect(seqs.filter((event) => event.auctionId === auctionIdOf(0)).map((event) => event.seq)).toEqual([
      2, 3, 4, 5, 6,
    ])
    expect(feed.every((batch) => batch.hasOutboxEntries)).toBe(true)
    expect(leader.replica.applied.events(auctionIdOf(0), 2, 8).map((event) => event.seq)).toEqual([
      2, 3, 4, 5, 6, 7,
    ])
  })

  it('STORE4: a disk that fails ends the replica: nothing more is answered, and it says so once', async () => {
    const { bench, leader } = await makeHouse(1, [1])
    const held = Array.from({ length: 3 }, (_, i) => propose(leader, placeBid(i, 0)))
    leader.disk.failWith('disk_full')
    await bench.settle()
    expect(held.map((outcome) => outcome.error?.code)).toEqual(['unknown', 'unknown', 'unknown'])
    expect(leader.fatal).toMatchObject({ name: 'StoreError', code: 'disk_full' })
    leader.disk.failWith(undefined)
    const later = propose(leader, placeBid(9, 0))
    await bench.advance(10_000)
    expect(later.error?.code).toBe('unavailable')
    expect(leader.replica.status().ready).toBe(false)
    expect(() => leader.replica.read((applied) => applied.appliedIndex)).toThrow('has failed')
  })

  it('STORE6: a damaged entry after the checkpoint, or a damaged checkpoint, is not served', async () => {
    for (const key of [entryKey(groupId, 3), checkpointKey(groupId)]) {
      const { bench, leader } = await makeHouse(3, [1])
      bench.crash(leader, false)
      expect(leader.disk.flipBit(key, 77)).toBe(true)
      await expect(bench.open(1, leader.disk)).rejects.toMatchObject({ code: 'corrupt' })
    }
  })

  it('STORE6: a log that has lost its end is not taken for a shorter one', async () => {
    const { bench, leader } = await makeHouse(1, [1])
    for (let i = 0; i < 200; i++) {
      propose(leader, placeBid(i, 0))
      await bench.settle()
    }
    const { lastIndex } = leader.replica.status()
    bench.crash(leader, false)
    const store = leader.disk.open()
    const lost = Array.from({ length: 70 }, (_, i) => entryKey(groupId, lastIndex - i))
    await store.commit(lost.map((key) => ({ key, value: undefined })))
    await store.close()
    await expect(bench.open(1, leader.disk)).rejects.toMatchObject({ code: 'corrupt' })
  })

  it('STORE6: a damaged event that is read ends the replica', async () => {
    const { bench, leader } = await makeHouse(1, [1], { checkpointRows: 1 })
    await bench.until(() => leader.replica.applied.unsavedCount === 0)
    expect(leader.disk.flipBit(eventBlockKey(groupId, auctionIdOf(0), 0), 40)).toBe(true)
    const read = (): unknown => leader.replica.read((applied) => applied.events(auctionIdOf(0), 1, 2))
    const cause = expect.objectContaining({ code: 'corrupt' })
    expect(read).toThrow(expect.objectContaining({ code: 'unavailable', cause }))
    expect(leader.fatal).toMatchObject({ code: 'corrupt' })
  })

  it('STORE7: a start loads the checkpoint and replays the log after it', async () => {
    const { bench, leader } = await makeHouse(5, [1], { checkpointRows: 40, logTailBytesMax: 100 })
    for (let i = 0; i < 30; i++) {
      propose(leader, placeBid(i, i % 5))
      await bench.settle()
    }
    const { checkpointIndex, firstIndex, appliedIndex } = leader.replica.status()
    expect(checkpointIndex).toBeGreaterThan(2)
    expect(checkpointIndex).toBeLessThan(appliedIndex)
    expect(firstIndex).toBeGreaterThan(2)
    const hash = stateHash(leader.replica.applied.state)
    const history = [0, 1, 2, 3, 4].map((number) => leader.replica.applied.events(auctionIdOf(number), 1, 8))
    bench.crash(leader, false)
    const again = await bench.open(1, leader.disk)
    await bench.until(() => again.replica.status().ready)
    expect(stateHash(again.replica.applied.state)).toBe(hash)
    expect([...rows(again.replica.applied.state)]).toEqual([...rows(leader.replica.applied.state)])
    for (let auction = 0; auction < 5; auction++) {
      expect(again.replica.applied.events(auctionIdOf(auction), 1, 8)).toEqual(history[auction])
    }
  })

  it('STORE7: stopping makes a last checkpoint, so that the next start replays nothing', async () => {
    const { bench, leader } = await makeHouse(2, [1])
    propose(leader, placeBid(1, 0))
    await bench.settle()
    const stopped = leader.replica.stop()
    const late = propose(leader, placeBid(2, 0))
    await bench.settle()
    await stopped
    expect(late.error?.code).toBe('stopped')
    bench.crash(leader, false)
    const again = await bench.open(1, leader.disk)
    expect(again.replica.status().checkpointIndex).toBe(leader.replica.status().appliedIndex)
    expect(again.replica.applied.appliedIndex).toBe(leader.replica.applied.appliedIndex)
  })

  it('STORE1 and STORE7: crashes at any moment lose nothing acknowledged and leave the state of the log', async () => {
    for (let seed = 1; seed <= 25; seed++) {
      const random = new Random(seed)
      const settings = {
        checkpointRows: 5 + random.below(200),
        logTailBytesMax: random.below(4_000),
        entriesInFlightMax: 1 + random.below(4),
        commandsPerEntryMax: 1 + random.below(20),
      }
      const { bench, leader, outcomes } = await makeHouse(4, [1], settings, seed)
      let node = leader
      let number = 0
      for (let crash = 0; crash < 4; crash++) {
        const steps = 20 + random.below(120)
        for (let step = 0; step < steps; step++) {
          if (random.chance(0.5)) outcomes.push(propose(node, placeBid(number++, random.below(4))))
          if (random.chance(0.1)) bench.clock.advance(25)
          await bench.step()
        }
        bench.crash(node, random.chance(0.5))
        node = await bench.open(1, node.disk)
        await bench.until(() => node.replica.status().ready)
        expectSurvived(bench, node, outcomes)
        for (let auction = 0; auction < 4; auction++) {
          const seq = node.replica.applied.state.auctions.get(auctionIdOf(auction))?.seq ?? 0
          const events = node.replica.applied.events(auctionIdOf(auction), 1, seq + 1)
          expect(events.map((event) => event.seq)).toEqual(Array.from({ length: seq }, (_, i) => i + 1))
        }
      }
      expect(outcomes.filter((outcome) => outcome.reply?.ok).length).toBeGreaterThan(20)
      expect(node.fatal).toBeUndefined()
    }
  })
})

describe('replicas, three', () => {
  it('TIME8: house time is shifted between entries, with commands before and after it in flight', async () => {
    const { bench, leader } = await makeHouse(2, [1, 2, 3], { commandsPerEntryMax: 2, entriesInFlightMax: 4 })
    // The stamps are far ahead of the clock, which is right.
    bench.clock.jump(-40 * 24 * 3_600_000)
    const toMs = bench.clock.nowMs()
    for (let round = 0; round < 3; round++) {
      const commands: Command[] = [
        ...Array.from({ length: 9 }, (_, at) => placeBid(100 * round + at, 0)),
        { type: 'shift_clock', toMs },
        { type: 'shift_clock', toMs: toMs + 1_000 },
        ...Array.from({ length: 9 }, (_, at) => placeBid(100 * round + 50 + at, 1)),
      ]
      const outcomes = commands.map((command) => propose(leader, command))
      await bench.until(() => outcomes.every(({ reply }) => reply?.ok))
    }
    const { appliedIndex, state } = leader.replica.applied
    const entries = bench.entriesUpTo(appliedIndex)
    const shifts = entries.filter(({ commands }) => commands.some(({ type }) => type === 'shift_clock'))
    expect(shifts.map(({ commands }) => commands.length)).toEqual([1, 1, 1, 1, 1, 1])
    expect(state.house.lastAtMs).toBeGreaterThanOrEqual(toMs + 1_000)
    expect(state.house.lastAtMs).toBeLessThan(toMs + 60_000)
    expect(state.house.shifts).toBe(6)
    // Another leader goes on from there, whatever it had counted before.
    bench.crash(leader, true)
    await bench.until(() => bench.leader !== undefined)
    const next = bench.leader as Node
    const later = propose(next, placeBid(990, 0))
    await bench.until(() => later.reply?.ok === true)
    expect(stateHash(next.replica.applied.state)).toBe(
      reference(bench, next.replica.applied.appliedIndex).hash,
    )
  })

  it('STORE10: the leader answers, the others apply the same, and refuse to propose', async () => {
    const { bench, leader } = await makeHouse(3, [1, 2, 3])
    const outcomes = Array.from({ length: 20 }, (_, i) => propose(leader, placeBid(i, i % 3)))
    await bench.settle()
    expect(outcomes.every((outcome) => outcome.reply?.ok)).toBe(true)
    const index = leader.replica.status().appliedIndex
    await bench.until(() =>
      [...bench.nodes.values()].every((node) => node.replica.status().appliedIndex >= index),
    )
    const hashes = [...bench.nodes.values()].map((node) => stateHash(node.replica.applied.state))
    expect(new Set(hashes).size).toBe(1)
    const follower = [...bench.nodes.values()].find((node) => node !== leader) as Node
    const refused = propose(follower, placeBid(77, 0))
    await bench.settle()
    expect(refused.error?.code).toBe('unavailable')
    expect(follower.replica.status().leader).toBe(leader.id)
  })

  it('STORE5: term and vote are on the disk of each node that voted', async () => {
    const { bench, leader } = await makeHouse(1, [1, 2, 3])
    const key = hardStateKey(groupId)
    const states = [...bench.nodes.values()].map((node) =>
      decodeHardState(key, node.store.get(key) as Uint8Array),
    )
    expect(states.map((state) => state.term)).toEqual(Array(3).fill(leader.replica.status().term))
    expect(states.filter((state) => state.vote === leader.id).length).toBeGreaterThanOrEqual(2)
    for (const node of [...bench.nodes.values()]) {
      bench.crash(node, false)
      const back = await bench.open(node.id, node.disk)
      expect(back.replica.status().term).toBe(leader.replica.status().term)
    }
  })

  it('STORE1: when the leader dies, another one has all that was acknowledged', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const { bench, leader, outcomes } = await makeHouse(3, [1, 2, 3], {}, seed)
      for (let i = 0; i < 60; i++) {
        outcomes.push(propose(leader, placeBid(i, i % 3)))
        await bench.step()
      }
      bench.crash(leader, false)
      const next = (): Node | undefined =>
        [...bench.nodes.values()].find((node) => node.replica.status().ready)
      await bench.until(() => next() !== undefined)
      expectSurvived(bench, next() as Node, outcomes)
      const back = await bench.open(leader.id, leader.disk)
      await bench.until(
        () => back.replica.status().appliedIndex === (next() as Node).replica.status().appliedIndex,
      )
      expect(stateHash(back.replica.applied.state)).toBe(stateHash((next() as Node).replica.applied.state))
    }
  })

  it('STORE14: without a majority, what was proposed is unknown and what was not is unavailable', async () => {
    const { bench, leader } = await makeHouse(1, [1, 2, 3], {
      entriesInFlightMax: 1,
      proposalTimeoutMs: 1_000,
    })
    for (const node of [...bench.nodes.values()]) if (node !== leader) bench.crash(node, false)
    const first = propose(leader, placeBid(1, 0))
    await bench.settle()
    const second = propose(leader, placeBid(2, 0))
    await bench.advance(2_000)
    expect(first.error?.code).toBe('unknown')
    expect(second.error?.code).toBe('unavailable')
    expect(leader.replica.status().ready).toBe(false)
    expect(leader.fatal).toBeUndefined()
  })
})
