/**
 * What all parts of one run share: the world, its network, the books, and who is there. Invariant: nothing in it
 * decides anything; parts find each other here.
 */
import type { Member } from '../link/backend.ts'
import type { MemoryWires } from '../transport/memory-stream.ts'
import type { MemoryNetwork } from '../transport/memory-transport.ts'
import type { Address } from '../transport/stream.ts'
import type { Auditor } from './auditor.ts'
import type { Checks } from './checks.ts'
import type { Counts } from './counts.ts'
import type { History } from './history.ts'
import type { Ledger } from './ledger.ts'
import type { SimMonitor } from './monitor.ts'
import type { Network } from './network.ts'
import type { SimNode } from './node.ts'
import type { SimOptions } from './options.ts'
import type { Plant } from './planted.ts'
import type { Process } from './process.ts'
import type { SimServer } from './server.ts'
import type { World } from './world.ts'

export interface House {
  readonly world: World
  readonly options: SimOptions
  readonly plant: Plant | undefined
  readonly counts: Counts
  readonly checks: Checks
  readonly ledger: Ledger
  readonly auditor: Auditor
  readonly history: History
  readonly network: Network
  readonly letters: MemoryNetwork
  readonly wires: MemoryWires
  /** What runs on each host. */
  readonly processes: Map<string, Process>
  readonly nodeIds: readonly number[]
  readonly members: readonly Member[]
  readonly nodes: readonly SimNode[]
  readonly servers: readonly SimServer[]
  readonly monitors: readonly SimMonitor[]
  addressOf(nodeId: number): Address
  /** A node leads in a term: it sent what only leaders send. */
  leads(nodeId: number, term: number): void
  takesSnapshot(node: SimNode): void
  votes(node: SimNode): void
  /** A process has ended by itself; something will start it again. */
  restartLater(node: SimNode): void
  /** Something was thrown that nobody handles. */
  fail(error: unknown): void
}
