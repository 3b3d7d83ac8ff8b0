/**
 * What nodes have to do so that the invariants can hold.
 *
 * It is checked as well, because a missing precaution shows at once, while its consequence needs a rare chain of
 * accidents. The table of checks is at `Precautions`.
 *
 * Invariant: this observer compares what nodes say with what is on their disks and on the network.
 * Source: the Raft paper.
 */

import { coreOf } from '../inner-state.ts'
import { JointConfig, MajorityConfig } from '../quorum.ts'
import type { RawNode } from '../rawnode.ts'
import type { HardState, Ready } from '../types.ts'
import { Violation } from './violation.ts'

/** What is remembered of a node between two Readys. */
interface Memory {
  /** Term in which it was leader at the last Ready; 0 when it was not. */
  ledTerm: number
  commit: number
  /** Configurations that it has had since the last Ready. */
  configs: JointConfig[]
}

/** Whether an entry would survive a power loss of the node. */
export type HoldsDurably = (id: number, index: number, term: number) => boolean

/**
 * | name | rule | source |
 * |---|---|---|
 * | one vote a term | a node grants at most one vote in a term, restarts included | paper §5.2 |
 * | votes are kept | a vote that was sent is on disk, until the term is over | paper figure 2 |
 * | leaders are elected | a leader has the votes of a quorum, of both halves of a joint configuration | paper §5.2, §6 |
 * | own term commits | a leader commits by counting copies only what is of its own term | paper §5.4.2 |
 * | commits are kept | what a leader commits is on the disks of a quorum, of both halves if joint | paper §5.3, §6 |
 */
export class Precautions {
  readonly #holds: HoldsDurably
  readonly #nodes = new Map<number, Memory>()
  /** By node: the newest term in which it voted, and for whom. */
  readonly #votes = new Map<number, { term: number; candidate: number }>()
  /** By `${term}/${candidate}`: who voted so. */
  readonly #voters = new Map<string, Set<number>>()

  constructor(holds: HoldsDurably) {
    this.#holds = holds
  }

  /** A node starts, with this hard state on its disk. */
  started(node: RawNode, onDisk: HardState): void {
    const { id } = node.basicStatus()
    this.#nodes.set(id, { ledTerm: 0, commit: onDisk.commit, configs: [configOf(node)] })
    const vote = this.#votes.get(id)
    if (vote === undefined || onDisk.term > vote.term) return
    if (onDisk.term < vote.term || onDisk.vote !== vote.candidate) {
      const found = `its disk says term ${onDisk.term}, vote ${onDisk.vote}`
      throw new Violation(
        'votes are kept',
        `node ${id} voted for ${vote.candidate} in term ${vote.term}; ${found}`,
      )
    }
  }

  /** A vote leaves a node (or is counted by it, if it is its own). */
  voted(id: number, term: number, candidate: number): void {
    const before = this.#votes.get(id)
    if (before !== undefined && before.term === term && before.candidate !== candidate) {
      throw new Violation(
        'one vote a term',
        `node ${id} votes for ${before.candidate} and ${candidate} in term ${term}`,
      )
    }
    if (before === undefined || term > before.term) this.#votes.set(id, { term, candidate })
    const key = `${term}/${candidate}`
    const voters = this.#voters.get(key) ?? new Set<number>()
    this.#voters.set(key, voters.add(id))
  }

  /** A node has taken on a configuration. */
  configured(node: RawNode): void {
    this.#memory(node).configs.push(configOf(node))
  }

  /** A node handed out a Ready. */
  handedOut(node: RawNode, ready: Ready): void {
    const { id, term, commit, raftState } = node.basicStatus()
    const memory = this.#memory(node)
    const isLeader = raftState === 'StateLeader'
    if (isLeader && memory.ledTerm !== term) this.#mustBeElected(id, term, memory)
    if (isLeader && memory.ledTerm === term && commit > memory.commit) this.#mayCommit(node, memory, ready)
    memory.ledTerm = isLeader ? term : 0
    memory.commit = commit
    memory.configs = [configOf(node)]
  }

  #mustBeElected(id: number, term: number, memory: Memory): void {
    const voters = this.#voters.get(`${term}/${id}`) ?? new Set<number>()
    const isElected = memory.configs.some((config) =>
      hasQuorum(config, (voter) => voter === id || voters.has(voter)),
    )
    if (isElected) return
    const config = memory.configs.at(-1)
    throw new Violation(
      'leaders are elected',
      `${id} leads term ${term} with the votes of ${[...voters]} in ${config}`,
    )
  }

  #mayCommit(node: RawNode, memory: Memory, ready: Ready): void {
    const { id, term, commit } = node.basicStatus()
    // The log as of this Ready: its entries are not on any disk yet.
    const entryTerm =
      ready.entries.find((entry) => entry.index === commit)?.term ?? coreOf(node).log.term(commit)
    if (entryTerm !== term) {
      throw new Violation(
        'own term commits',
        `leader ${id} of term ${term} commits ${commit}, of term ${entryTerm}`,
      )
    }
    const isKept = memory.configs.some((config) =>
      hasQuorum(config, (voter) => this.#holds(voter, commit, entryTerm)),
    )
    if (isKept) return
    throw new Violation(
      'commits are kept',
      `leader ${id} commits ${commit}, not on a quorum of ${memory.configs.at(-1)}`,
    )
  }

  #memory(node: RawNode): Memory {
    return this.#nodes.get(node.basicStatus().id) as Memory
  }
}

/** The node's configuration, deciding as it should. */
function configOf(node: RawNode): JointConfig {
  const { incoming, outgoing } = coreOf(node).trk.config.voters
  return new JointConfig(new MajorityConfig(incoming.ids), new MajorityConfig(outgoing.ids))
}

function hasQuorum(config: JointConfig, agrees: (id: number) => boolean): boolean {
  return config.voteResult(new Map(config.ids().map((id) => [id, agrees(id)]))) === 'VoteWon'
}
