import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { AuctionId, GroupId } from '../../protocol/ids.ts'
import { type Clock, systemClock } from '../../runtime/clock.ts'
import { openSingleNode, type RemoteCluster, type SingleNode, type StateNode } from '../index.ts'
import type { Command } from '../machine/commands.ts'
import { createAuction, enlistServer, placeBid, serverId } from '../replica/testing/workload.ts'
import { NodeBench, type TestMembers, until } from './testing/nodes.ts'

const group = 0 as GroupId
const hourMs = 3_600_000

/** The machine's clock, whose time of day can be set to another. */
class WrongClock implements Clock {
  offMs = 0
  nowMs(): number {
    return systemClock.nowMs() + this.offMs
  }
  monotonicMs(): number {
    return systemClock.monotonicMs()
  }
  setTimer(delayMs: number, fire: () => void): () => void {
    return systemClock.setTimer(delayMs, fire)
  }
}

interface Station {
  readonly clock: WrongClock
  node: StateNode
  readonly notes: { event: string; facts: Readonly<Record<string, unknown>> }[]
}

let bench: NodeBench
let members: TestMembers
let stations: Station[]
let remote: RemoteCluster
let requests = 0

beforeEach(() => {
  bench = new NodeBench()
})

async function cluster(): Promise<void> {
  members = await bench.membersOf(3)
  stations = await Promise.all([1, 2, 3].map((nodeId) => open(nodeId, new WrongClock())))
  remote = await bench.link(members)
}

afterEach(async () => {
  await bench.close()
})

async function open(nodeId: number, clock: WrongClock): Promise<Station> {
  const notes: Station['notes'] = []
  const node = await bench.open(nodeId, members, {
    clock,
    groupCount: 1,
    note: (event, facts) => notes.push({ event, facts }),
  })
  return { clock, node, notes }
}

const leader = (): Station | undefined =>
  stations.find(({ node }) => node.groups()[0]?.isLeader === true && node.groups()[0]?.ready === true)

async function untilLed(): Promise<Station> {
  await until(() => leader() !== undefined)
  return leader() as Station
}

/** House time less a true time at which the stamp may have been made: 0 where it may be right. */
async function errorMs(of: Pick<RemoteCluster, 'propose'> = remote, aheadMs = 0): Promise<number> {
  const fromMs = Date.now() + aheadMs
  const reply = await of.propose(group, conduct())
  if (!('atMs' in reply)) throw new Error('a pulse is answered with its stamp')
  const toMs = Date.now() + aheadMs
  return reply.atMs - Math.min(toMs, Math.max(fromMs, reply.atMs))
}

const conduct = (): Command => ({ type: 'conduct', serverId, epoch: 1 })

async function create(number: number, durationMs: number): Promise<AuctionId> {
  const command = createAuction(number)
  const reply = await remote.propose(group, { ...command, terms: { ...command.terms, durationMs } })
  expect(reply).toMatchObject({ ok: true })
  return command.auctionId
}

async function bid(auction: number): Promise<unknown> {
  requests += 1
  return await remote.propose(group, placeBid(requests, auction))
}

const statusOf = async (auctionId: AuctionId): Promise<string | undefined> =>
  (await remote.auction(auctionId))?.status

describe('a node with a wrong clock', () => {
  beforeEach(cluster)

  it('TIME1 and TIME4: a leader whose clock jumps stamps on as before, says so, and hands over', async () => {
    await remote.propose(group, enlistServer)
    const auctionId = await create(1, 1_800_000)
    await create(2, hourMs + 60_000)
    for (const jumpMs of [hourMs, -hourMs, 73 * 365 * 24 * hourMs]) {
      const station = await untilLed()
      const { nodeId } = station.node
      await until(() => station.node.load().clockOffsetMs !== undefined)
      station.clock.offMs = jumpMs
      expect(await bid(1)).toMatchObject({ ok: true })
      expect(Math.abs(await errorMs())).toBeLessThan(1_500)
      await until(() => station.notes.some(({ event }) => event === 'clock_off'))
      const { facts } = station.notes.find(({ event }) => event === 'clock_off') as Station['notes'][0]
      expect(Math.abs((facts['offsetMs'] as number) - jumpMs)).toBeLessThan(2_000)
      expect(station.node.load().clockOffsetMs).toBeCloseTo(jumpMs, -4)
      await until(() => leader() !== undefined && leader()?.node.nodeId !== nodeId)
      expect(await bid(1)).toMatchObject({ ok: true })
      expect(Math.abs(await errorMs())).toBeLessThan(1_500)
      expect(await statusOf(auctionId)).toBe('open')
      station.clock.offMs = 0
      station.notes.length = 0
    }
    // The request ids are still known: a retry is answered as before and does nothing.
    expect(await remote.propose(group, createAuction(2))).toMatchObject({
      code: 'duplicate_request_differs',
    })
  })

  it('TIME4: a node whose clock is off does not keep the lead when it gets it', async () => {
    await remote.propose(group, enlistServer)
    const wrong = stations[1] as Station
    wrong.clock.offMs = -hourMs
    await until(() => wrong.notes.some(({ event }) => event === 'clock_off'))
    for (const other of stations) if (other !== wrong && other === leader()) await other.node.close()
    stations = stations.filter(({ node }) => node.isReady())
    expect(Math.abs(await errorMs())).toBeLessThan(2_500)
    await until(() => leader() !== undefined && leader() !== wrong)
  })

  it('TIME2: after all nodes were away, the gap is taken over from the clocks that agree', async () => {
    await remote.propose(group, enlistServer)
    await create(1, 24 * hourMs)
    const aheadMs = 2 * hourMs
    for (const { node } of stations) await node.close()
    // An hour and more went by, as two of three clocks say; the third is a year ahead.
    stations = []
    for (const [nodeId, offMs] of [
      [1, aheadMs],
      [2, 365 * 24 * hourMs],
      [3, aheadMs],
    ] as const) {
      const clock = new WrongClock()
      clock.offMs = offMs
      stations.push(await open(nodeId, clock))
    }
    await until(async () => Math.abs(await errorMs(remote, aheadMs)) < 2_500)
  })
})

describe('a lone node with a wrong clock', () => {
  const clock = new WrongClock()
  const events: string[] = []
  let house: SingleNode | undefined

  const start = async (offMs: number, acceptClock = false): Promise<SingleNode> => {
    await house?.close()
    house = undefined
    clock.offMs = offMs
    house = await openSingleNode({
      dataDir: bench.dataDirOf(1),
      clock,
      settings: { acceptClock },
      onClock: (event) => events.push(event),
      onFatal(error) {
        throw error
      },
    })
    return house
  }
  const stampErrorMs = (aheadMs = 0): Promise<number> => errorMs(house, aheadMs)

  afterEach(async () => {
    await house?.close()
    house = undefined
  })

  it('TIME6: stamps on by the monotonic clock when the wall clock jumps, and says so', async () => {
    const lone = await start(0)
    await lone.propose(group, enlistServer)
    for (const jumpMs of [hourMs, -hourMs, 73 * 365 * 24 * hourMs]) {
      clock.offMs = jumpMs
      expect(lone.load().houseOffsetMs).toBeCloseTo(-jumpMs, -4)
      await until(() => events.includes('house_time_off'))
      expect(Math.abs(await stampErrorMs())).toBeLessThan(500)
    }
    clock.offMs = 0
    expect(Math.abs(lone.load().houseOffsetMs as number)).toBeLessThan(500)
  })

  it('TIME5: does not start with an impossible clock, and does when it is accepted', async () => {
    const lone = await start(0)
    await lone.propose(group, enlistServer)
    const refusal = { code: 'clock_impossible', message: expect.stringContaining('--accept-clock') }
    await expect(start(-hourMs)).rejects.toMatchObject(refusal)
    await expect(start(73 * 365 * 24 * hourMs)).rejects.toMatchObject(refusal)
    await start(-20_000)
    expect(Math.abs(await stampErrorMs())).toBeLessThan(3_000)
    await start(-hourMs, true)
    expect(await stampErrorMs()).toBeGreaterThan(-5_000)
    // A house that was down for two hours.
    await start(2 * hourMs)
    expect(Math.abs(await stampErrorMs(2 * hourMs))).toBeLessThan(500)
    await start(62 * 24 * hourMs, true)
    expect(Math.abs(await stampErrorMs(62 * 24 * hourMs))).toBeLessThan(500)
  })
})
