/**
 * All parts of one run.
 *
 * They are what every host is given, and the hosts and the operator themselves.
 * Invariant: hosts do not see it; only what acts on them from outside does (faults, workload, the run).
 */
import type { SimMonitor } from './monitor.ts'
import type { Operator, OperatorContext } from './operator.ts'
import type { SimServer } from './server.ts'

export interface RunParts extends OperatorContext {
  readonly servers: readonly SimServer[]
  readonly monitors: readonly SimMonitor[]
  readonly operator: Operator
}
