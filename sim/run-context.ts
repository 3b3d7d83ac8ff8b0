/**
 * What all parts of one run share: the world, its network, the books, and who is there. Invariant: nothing in it
 * decides anything; parts find each other here.
 */

import type { MemoryNetwork } from '../state-cluster/peers/memory-transport.ts'
import type { Members } from '../state-cluster/storage/member-record.ts'
import type { MemoryWires } from '../wire/memory-stream.ts'
import type { Auditor } from './auditor.ts'
import type { Checks } from './checks.ts'
import type { Counts } from './counts.ts'
import type { History } from './history.ts'
import type { Ledger } from './ledger.ts'
import type { SimMonitor } from './monitor.ts'
import type { Network } from './network.ts'
import type { SimNode } from './node.ts'
import type { Operator } from './operator.ts'
import type { SimOptions } from './options.ts'
import type { Plant } from './planted.ts'
import type { Process } from './process.ts'
import type { SimServer } from './server.ts'
import type { World } from './world.ts'

/** What changes of the membership must show. */
export const clusterSecret = 'the operator knows'

export interface RunContext {
  readonly world: World
  readonly options: SimOptions
  readonly plant: Plant | undefined
  readonly counts: Counts
  readonly checks: Checks
  readonly ledger: Ledger
  readonly auditor: Auditor
  readonly history: History
  readonly network: Network
  readonly peers: MemoryNetwork
  readonly wires: MemoryWires
  /** What runs on each host. */
  readonly processes: Map<string, Process>
  /** The first members. */
  readonly founders: Members
  /** Also those that came later, and those that have left. */
  readonly nodes: readonly SimNode[]
  readonly servers: readonly SimServer[]
  readonly monitors: readonly SimMonitor[]
  readonly operator: Operator
  /** A node with an empty disk, under a number that no other ever had. */
  newNode(): SimNode
  /** The nodes that there are, as whoever starts something names them to it. */
  addresses(): Members
  /** A node leads in a term: it sent what only leaders send. */
  leads(nodeId: number, term: number): void
  receivesSnapshot(node: SimNode): void
  votes(node: SimNode): void
  /** A process has ended by itself; something will start it again. */
  restartLater(node: SimNode): void
  /** Something was thrown that nobody handles. */
  fail(error: unknown): void
}
