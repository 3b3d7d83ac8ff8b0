/**
 * What every host of a run is given, such as world, network and ledger.
 *
 * Invariant: nothing in it decides anything, and it names no part that is made of it; run-parts.ts adds those.
 */
import type { MemoryNetwork } from '../state-cluster/peers/memory-transport.ts'
import type { Replica } from '../state-cluster/replica/replica.ts'
import type { Members } from '../state-cluster/storage/member-record.ts'
import type { MemoryWires } from '../wire/memory-stream.ts'
import type { Address } from '../wire/stream.ts'
import type { Auditor } from './auditor.ts'
import type { Checks } from './checks.ts'
import type { Counts } from './counts.ts'
import type { History } from './history.ts'
import type { Ledger } from './ledger.ts'
import type { Network } from './network.ts'
import type { SimOptions } from './options.ts'
import type { Plant } from './planted.ts'
import type { Process } from './process.ts'
import type { SnapshotRule } from './snapshot-rule.ts'
import type { TrueTime } from './true-time.ts'
import type { World } from './world.ts'

/** A state node as another one reaches it over the network. */
interface ReachableNode {
  readonly id: number
  readonly host: string
  readonly replica: Replica | undefined
}

export interface RunContext {
  readonly world: World
  readonly options: SimOptions
  readonly plant: Plant | undefined
  readonly counts: Counts
  readonly checks: Checks
  readonly ledger: Ledger
  readonly snapshots: SnapshotRule
  readonly trueTime: TrueTime
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
  readonly nodes: readonly ReachableNode[]
  /** The addresses of all present nodes, as given to a process at its start. */
  addresses(): Members
  monitorAddresses(): readonly Address[]
  /** A replica has applied a change of the membership, or taken over a snapshot. */
  membersChanged(replica: Replica): void
  /** A node sent what only leaders send: it leads in this term. */
  leads(nodeId: number, term: number): void
  receivesSnapshot(nodeId: number): void
  votes(nodeId: number): void
  /** A process has ended by itself; it is started again later. */
  restartLater(nodeId: number): void
  /** An error was thrown that no code handles. */
  fail(error: unknown): void
}
