/**
 * The inner state of a `RawNode`, for tests, the fuzzer and the scenario runner.
 * Invariant: production code does not import this file, and index.ts does not export it; it uses the methods of `RawNode` and its status.
 */
import type { Raft } from './raft.ts'
import { innerState, type RawNode } from './rawnode.ts'

export function coreOf(node: RawNode): Raft {
  return innerState(node)
}
