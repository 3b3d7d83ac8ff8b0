/**
 * Planted faults, which show that the checks of the random driver find them.
 *
 * Each breaks one rule of Raft from outside: it replaces a method of one node's core, or drives the core wrongly.
 * Each is a defect that real implementations have had; the rule that it breaks is named with it.
 *
 * Invariant: `noFault` changes nothing, and no fault changes the production code.
 */

import { coreOf } from '../inner-state.ts'
import { COMMITTED_ALL, JointConfig, MajorityConfig } from '../quorum.ts'
import type { RawNode } from '../rawnode.ts'
import { type Message, NONE } from '../types.ts'

export interface Fault {
  readonly name: string
  readonly description: string
  /** A node has just started. */
  readonly started?: (node: RawNode) => void
  /** A node has just applied a configuration change or installed a snapshot. */
  readonly configured?: (node: RawNode) => void
  /** A node has just handled a message. */
  readonly stepped?: (node: RawNode, message: Message) => void
  /** Whether a message leaves before what it depends on is synced. */
  readonly sendsBeforeSync?: (message: Message) => boolean
}

export const noFault: Fault = { name: 'none', description: 'the core as it is' }

/** Half of a joint configuration that agrees with everything, so that the other half decides alone. */
class SingleQuorum extends JointConfig {
  override committedIndex(acked: Parameters<JointConfig['committedIndex']>[0]): number {
    const index = this.incoming.committedIndex(acked)
    return index === COMMITTED_ALL ? super.committedIndex(acked) : index
  }

  override voteResult(votes: ReadonlyMap<number, boolean>): ReturnType<JointConfig['voteResult']> {
    return this.incoming.voteResult(votes)
  }
}

function decideByIncomingAlone(node: RawNode): void {
  const raft = coreOf(node)
  const { config, progress } = raft.trk
  const { incoming, outgoing, isJoint } = config.voters
  if (!isJoint) return
  const voters = new SingleQuorum(new MajorityConfig(incoming.ids), new MajorityConfig(outgoing.ids))
  raft.trk.use({ ...config, voters }, progress)
}

const faults: readonly Fault[] = [
  {
    name: 'vote-before-sync',
    description: 'a vote leaves before it is on disk, and is forgotten by a power loss (paper §5.2)',
    sendsBeforeSync: (message) => message.type === 'MsgVoteResp',
  },
  {
    name: 'commit-earlier-term',
    description: 'a leader commits entries of earlier terms by counting copies (paper §5.4.2, figure 8)',
    started: (node) => {
      const { log } = coreOf(node)
      log.maybeCommit = (index) => {
        if (index <= log.committed) return false
        log.commitTo(index)
        return true
      }
    },
  },
  {
    name: 'append-without-check',
    description: 'an append is accepted whatever the term of the entry before it (paper §5.3)',
    started: (node) => {
      const { log } = coreOf(node)
      log.hasPrevious = (index) => index <= log.lastIndex()
    },
  },
  {
    name: 'single-quorum',
    description: 'in a joint configuration the incoming half decides alone (paper §6)',
    started: decideByIncomingAlone,
    configured: decideByIncomingAlone,
  },
  {
    name: 'snapshot-drops-vote',
    description: 'installing a snapshot forgets whom the node voted for in its term (paper §5.2, §7)',
    stepped: (node, message) => {
      const raft = coreOf(node)
      if (message.type === 'MsgSnap' && raft.log.hasNextOrInProgressSnapshot()) raft.vote = NONE
    },
  },
]

export const faultNames: readonly string[] = faults.map(({ name }) => name)

/** The fault of this name; undefined when there is none. */
export function faultNamed(name: string): Fault | undefined {
  return faults.find((fault) => fault.name === name)
}

/** A line for each fault. */
export function describeFaults(): string {
  return faults.map(({ name, description }) => `${name.padEnd(22)}${description}\n`).join('')
}
