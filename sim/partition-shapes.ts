/**
 * The shapes of partitions: which ordered pairs of hosts each one cuts.
 *
 * When a partition begins and heals, and what happens besides, is decided in faults.ts.
 *
 * Invariant: the order of the names is fixed, because seeds draw by position; a shape cuts pairs and does nothing
 * else.
 */
import type { Random } from '../runtime/random.ts'
import type { Network } from './network.ts'
import type { SimNode } from './node.ts'
import type { RunParts } from './run-parts.ts'

export const partitionShapes = [
  'isolated',
  'halves',
  'deaf',
  'mute',
  'bridge',
  'ring',
  'joint',
  'servers',
  'monitors',
  'stranded',
  'outcast',
] as const
export type PartitionShape = (typeof partitionShapes)[number]

export interface Partition {
  readonly context: RunParts
  readonly random: Random
  /** The node around which it is drawn: most often the leader. */
  readonly node: SimNode
}

export function hostsOf({ nodes, servers, monitors, operator }: RunParts): readonly string[] {
  return [...nodes, ...servers, ...monitors, operator].map(({ host }) => host)
}

function cutBothWays(network: Network, one: string, other: string): void {
  network.cut(one, other)
  network.cut(other, one)
}

/** Cuts the hosts of one side off from all others. */
function cutOff({ context }: Partition, side: readonly string[]): void {
  for (const inside of side) {
    for (const outside of hostsOf(context)) {
      if (!side.includes(outside)) cutBothWays(context.network, inside, outside)
    }
  }
}

/** Each node sees its two neighbours alone. */
function cutToRing({ context: { nodes, network } }: Partition): void {
  const ring = nodes.filter(({ isRetired }) => !isRetired)
  ring.forEach(({ host }, at) => {
    for (const [place, other] of ring.entries()) {
      const distance = Math.abs(place - at)
      if (distance > 1 && distance < ring.length - 1) network.cut(host, other.host)
    }
  })
}

/** Two sides that do not see each other, and one node that sees both. */
function cutToJoint({ context, random, node }: Partition): void {
  const others = hostsOf(context).filter((host) => host !== node.host)
  const left = others.filter(() => random.chance(0.5))
  for (const inside of left) {
    for (const outside of others) if (!left.includes(outside)) cutBothWays(context.network, inside, outside)
  }
}

export const cutAs: Readonly<Record<PartitionShape, (partition: Partition) => void>> = {
  isolated: (partition) => cutOff(partition, [partition.node.host]),
  halves: (partition) =>
    cutOff(
      partition,
      hostsOf(partition.context).filter(() => partition.random.chance(0.5)),
    ),
  /** The node can send, and receives nothing. */
  deaf({ context, node }) {
    for (const host of hostsOf(context)) if (host !== node.host) context.network.cut(host, node.host)
  },
  /** The node can receive, and nothing arrives of what it sends. */
  mute({ context, node }) {
    for (const host of hostsOf(context)) if (host !== node.host) context.network.cut(node.host, host)
  },
  /** Two nodes that do not see each other, while others see both. */
  bridge({ context, random, node }) {
    cutBothWays(context.network, node.host, random.pick(context.nodes).host)
  },
  ring: cutToRing,
  joint: cutToJoint,
  /** Servers lose the node, in one direction or in both. */
  servers({ context: { network, servers }, random, node }) {
    for (const { host } of servers) {
      network.cut(host, node.host)
      if (random.chance(0.5)) network.cut(node.host, host)
    }
  },
  /** Cuts nothing: the commands of a monitor are held back instead. */
  monitors() {},
  /** A leader with some of its clients, and all others on the far side. */
  stranded(partition) {
    const { context, random, node } = partition
    const clients = context.servers.filter(() => random.chance(0.5)).map(({ host }) => host)
    cutOff(partition, [node.host, ...clients])
  },
  /** No other node sees it, and servers still do. */
  outcast({ context: { network, nodes }, node }) {
    for (const { host } of nodes) if (host !== node.host) cutBothWays(network, node.host, host)
  },
}
