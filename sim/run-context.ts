/**
 * What all parts of one run share: world, network, ledger, hosts.
 *
 * Invariant: nothing in it decides anything; parts find each other here.
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

/** The secret that membership changes must carry. */
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
  /** The process on each host. */
  readonly processes: Map<string, Process>
  /** The first members. */
  readonly founders: Members
  /** Includes nodes that were added later and nodes that were retired. */
  readonly nodes: readonly SimNode[]
  readonly servers: readonly SimServer[]
  readonly monitors: readonly SimMonitor[]
  readonly operator: Operator
  /** A node with an empty disk, under a number that was never used. */
  newNode(): SimNode
  /** The addresses of all present nodes, as given to a process at its start. */
  addresses(): Members
  /** A node sent what only leaders send: it leads in this term. */
  leads(nodeId: number, term: number): void
  receivesSnapshot(node: SimNode): void
  votes(node: SimNode): void
  /** A process has ended by itself; it is started again later. */
  restartLater(node: SimNode): void
  /** An error was thrown that no code handles. */
  fail(error: unknown): void
}
