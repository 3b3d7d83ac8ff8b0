import { describe, expect, it } from 'vitest'
import type { AuctionId } from '../../protocol/ids.ts'
import { ClusterError, type FeedBatch } from '../cluster.ts'
import type { Reply } from '../machine/events.ts'
import { group } from '../peers/testing/fixtures.ts'
import type { LinkService } from './service/service.ts'
import { createAuction, FakeCluster, placeBid } from './testing/fake-cluster.ts'
import { VirtualWorld } from './testing/virtual.ts'

const zero = group(0)
const lot = 'lot' as AuctionId

interface History {
  readonly acknowledged: number
  /** Bids that are in the log more than once. */
  readonly repeated: number
  readonly unknown: number
  readonly refused: number
  readonly gaps: number
  readonly faults: readonly string[]
  readonly bidCount: number
  readonly indexes: readonly number[]
}

/**
 * Three nodes, a bidder and a watcher, 20 virtual seconds of bids, while nodes die and come back, hang, lose touch
 * with the others and lead in turns.
 */
async function play(seed: number): Promise<History> {
  const world = new VirtualWorld(seed, 8)
  // The fourth node has no clients and no faults: it records the expected batches.
  const cluster = new FakeCluster(4)
  const serving = cluster.nodes.slice(0, 3)
  const oracle = cluster.node(4)
  const expectedIndexes: number[] = []
  oracle.watch(zero, {
    batch: ({ index }) => expectedIndexes.push(index),
    applied: () => undefined,
    gap: () => undefined,
    leader: () => undefined,
  })
  const services = new Map<number, LinkService>()
  for (const node of serving) services.set(node.nodeId, await world.serve(node))
  const bidder = await world.link('bidder', serving)
  const watcher = await world.link('watcher', serving)
  const batches: FeedBatch[] = []
  const gaps: [number, number][] = []
  watcher.subscribe(
    zero,
    (batch) => batches.push(batch),
    ({ afterIndex, toIndex }) => gaps.push([afterIndex, toIndex]),
  )
  await world.settled(bidder.propose(zero, createAuction(lot)))
  const outcomes: Promise<{ bid: number; reply: Reply | ClusterError }>[] = []
  let bid = 0
  for (let step = 0; step < 200; step++) {
    for (let at = 0; at < 3; at++) {
      bid++
      const made = bid
      const proposed = bidder.propose(zero, placeBid(lot, `b${made % 5}`, made * 20_000))
      outcomes.push(
        proposed.then(
          (reply) => ({ bid: made, reply }),
          (error) => ({ bid: made, reply: error as ClusterError }),
        ),
      )
    }
    await injectFault(world, cluster, services)
    await world.run(100)
  }
  for (const node of serving) await heal(world, cluster, services, node.nodeId)
  cluster.elect(1)
  const settled = await world.settled(Promise.all(outcomes))
  const proposed = cluster.commandsOf(zero).filter((command) => command.type === 'place_bid')
  const known = new Set(proposed.map((command) => 'amount' in command && command.amount))
  for (const { bid: made, reply } of settled) {
    const isProposed = known.has(made * 20_000)
    if (!(reply instanceof ClusterError)) expect(isProposed).toBe(true)
    else if (reply.code !== 'unknown') expect(isProposed).toBe(false)
  }
  const view = await world.settled(watcher.auction(lot))
  const accepted = settled.filter(({ reply }) => !(reply instanceof ClusterError) && reply.ok).length
  const log = cluster.node(1).appliedIndex(zero)
  await world.settled(bidder.propose(zero, createAuction('end')))
  while (batches.at(-1)?.events.at(-1)?.auctionId !== 'end') await world.run(10)
  expect(view?.bidCount).toBeGreaterThanOrEqual(accepted)
  // Every entry with events was sent once and in order, or lies in a reported gap.
  const received = batches.map((batch) => batch.index)
  expect(received).toEqual([...new Set(received)].sort((a, b) => a - b))
  const events = await oracle.events(lot, 0, 100_000)
  // Each bid has at most one event, and each that was acknowledged has the one that its reply names.
  const eventOf = new Map(
    events.flatMap((event) =>
      event.type === 'bid_placed' ? [[event.secret.amount, event.seq] as const] : [],
    ),
  )
  expect(eventOf.size).toBe(events.filter((event) => event.type === 'bid_placed').length)
  for (const { bid: made, reply } of settled) {
    if (!(reply instanceof ClusterError) && reply.ok && reply.type === 'bid') {
      expect(eventOf.get(made * 20_000)).toBe(reply.seq)
    }
  }
  const isMissed = (index: number) => gaps.some(([after, to]) => index > after && index <= to)
  expect(expectedIndexes.filter((index) => !isMissed(index))).toEqual(received)
  for (const [after, to] of gaps) {
    expect(received.filter((index) => index > after && index <= to)).toEqual([])
  }
  await world.close()
  const count = (code: string) =>
    settled.filter(({ reply }) => reply instanceof ClusterError && reply.code === code).length
  return {
    acknowledged: settled.filter(({ reply }) => !(reply instanceof ClusterError)).length,
    repeated: proposed.length - known.size,
    unknown: count('unknown'),
    refused: count('unavailable') + count('overloaded'),
    gaps: gaps.length,
    faults: world.faults,
    bidCount: view?.bidCount ?? 0,
    indexes: [...received, log],
  }
}

/** A random fault of a random node, or its end. */
async function injectFault(
  world: VirtualWorld,
  cluster: FakeCluster,
  services: Map<number, LinkService>,
): Promise<void> {
  const nodeId = 1 + Math.floor(world.random() * 3)
  const what = world.random()
  if (what < 0.12) cluster.elect(nodeId)
  else if (what < 0.16) cluster.elect(0)
  else if (what < 0.22) {
    world.wires.kill(`node-${nodeId}:1`)
    services.get(nodeId)?.close()
    services.delete(nodeId)
  } else if (what < 0.28) world.silenced.add(`node-${nodeId}:1`)
  else if (what < 0.34) cluster.node(nodeId).cutOff()
  else if (what < 0.4) cluster.node(nodeId).isMute = true
  else if (what < 0.7) await heal(world, cluster, services, nodeId)
}

async function heal(
  world: VirtualWorld,
  cluster: FakeCluster,
  services: Map<number, LinkService>,
  nodeId: number,
): Promise<void> {
  const node = cluster.node(nodeId)
  world.silenced.delete(`node-${nodeId}:1`)
  node.isMute = false
  if (node.isCutOff) node.mend(world.random() < 0.3 ? 'snapshot' : 'entries')
  if (!services.has(nodeId)) services.set(nodeId, await world.serve(node))
}

describe('the link in virtual time', () => {
  it('LINK6, LINK8: under faults of nodes and connections a bid counts once, and the feed reports every gap', async () => {
    let acknowledged = 0
    let repeated = 0
    let gaps = 0
    for (let seed = 1; seed <= 12; seed++) {
      const history = await play(seed)
      acknowledged += history.acknowledged
      repeated += history.repeated
      gaps += history.gaps
      expect(history.acknowledged + history.unknown + history.refused).toBe(600)
    }
    expect(acknowledged).toBeGreaterThan(12 * 300)
    // The faults had effect: retries reached the log twice, and a feed had a gap.
    expect(repeated).toBeGreaterThan(20)
    expect(gaps).toBeGreaterThan(0)
  })

  it('LINK6: the same seed gives the same history', async () => {
    expect(await play(5)).toEqual(await play(5))
  })
})
