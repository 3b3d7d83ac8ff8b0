/**
 * Which data folder each node has, and what follows from another one.
 *
 * A node with another folder could vote twice in a term, or not know what it has acknowledged.
 *
 *   founding:  each founder notes every other's incarnation ─► reports it (`acquainted`) ─► all have: takes part
 *   joining:   the membership change that adds a node names its incarnation
 *   later:     a hello with another incarnation is refused; a node that is refused ends
 *
 * Invariant: nobody takes part in a vote or an acknowledgement before every node that counts it has noted its
 * incarnation durably, in the record that makes it a member. So a folder in the place of a lost one is known as
 * another to all who relied on the lost one. Older states of one folder are for own-promise.ts and the replica.
 * Source: docs/spec.md IDENT1 to IDENT5; docs/raft.md, duty 11.
 */

import type { Hello, Refusal } from '../../wire/handshake.ts'
import type { Members } from '../storage/member-record.ts'

/** The members of one group. */
interface GroupOfMembers {
  readonly addresses: Members
  noteIncarnation(nodeId: number, incarnation: string): Promise<void>
}

export interface IdentitiesOptions {
  readonly nodeId: number
  readonly incarnation: string
  readonly isFounding: boolean
  readonly groups: readonly GroupOfMembers[]
  /** This node has noted a node's incarnation durably. */
  readonly noted: (nodeId: number, incarnation: string) => void
  /** Every founder knows every other: this node may take part. Called once, in a founding. */
  readonly founded: () => void
  /** A write has failed. */
  readonly failed: (error: unknown) => void
}

/** This node's folder is not what the others rely on: nothing may be served from it. */
export class LostDataError extends Error {
  override readonly name = 'LostDataError'
  readonly code = 'data_lost'
  readonly retryable = false
}

export class Identities {
  readonly #options: IdentitiesOptions
  #isFounding: boolean
  /** Nodes whose incarnation is being noted. */
  readonly #underWay = new Set<number>()
  /** Other founders that know this one. */
  readonly #knownTo = new Set<number>()
  /** Nodes that refuse this one because of its folder. */
  readonly #refusing = new Set<number>()

  constructor(options: IdentitiesOptions) {
    this.#options = options
    this.#isFounding = options.isFounding
  }

  get isFounding(): boolean {
    return this.#isFounding
  }

  /** Founders that do not know this node yet, or that it does not know. */
  get awaited(): readonly number[] {
    return this.#others().filter((nodeId) => !this.#knownTo.has(nodeId) || !this.#isNoted(nodeId))
  }

  isMember(nodeId: number): boolean {
    return this.#options.groups.some(({ addresses }) => addresses.has(nodeId))
  }

  /** Why a node is not the one that the members' record names, if so. */
  judge({ nodeId, incarnation = '' }: Hello): Refusal | undefined {
    for (const { addresses } of this.#options.groups) {
      const expected = addresses.get(nodeId)?.incarnation
      if (expected === undefined || expected === incarnation) continue
      const reason = `node ${nodeId} comes with another data folder (${incarnation}) than it had (${expected})`
      return { code: 'wrong_incarnation', reason }
    }
    return undefined
  }

  /** Whether what a node says may count: not before its incarnation is noted, where the log has not named it. */
  isTaken(nodeId: number): boolean {
    return !this.#isFounding && (!this.isMember(nodeId) || this.#isNoted(nodeId))
  }

  /** A node is connected, with this folder; also after the members have changed. */
  met(nodeId: number, incarnation: string): void {
    if (this.#underWay.has(nodeId)) return
    this.#underWay.add(nodeId)
    const { groups, noted, failed } = this.#options
    Promise.all(groups.map((group) => group.noteIncarnation(nodeId, incarnation))).then(() => {
      this.#underWay.delete(nodeId)
      if (this.isMember(nodeId)) noted(nodeId, incarnation)
      this.#look()
    }, failed)
  }

  /** A node has noted this one durably. */
  acquainted(nodeId: number): void {
    if (!this.isMember(nodeId)) return
    this.#knownTo.add(nodeId)
    this.#refusing.delete(nodeId)
    this.#look()
  }

  /** A node refuses this one because of its folder. Gives the end of this one, where that is certain. */
  refusedBy(nodeId: number): LostDataError | undefined {
    const others = this.#others()
    // A node that joins and is no member yet has promised nothing: it waits until the old one has left.
    if (!others.includes(nodeId)) return undefined
    this.#refusing.add(nodeId)
    const needed = this.#isFounding ? 1 : Math.floor(others.length / 2) + 1
    if (others.filter((other) => this.#refusing.has(other)).length < needed) return undefined
    const { nodeId: self } = this.#options
    const what = `the other nodes know node ${self} with another data folder: what it has promised is not in this one`
    const remedy = '; if the cluster has never begun, empty the folders of all its nodes and start them again'
    return new LostDataError(this.#isFounding ? what + remedy : what)
  }

  #look(): void {
    if (!this.#isFounding || this.awaited.length > 0) return
    this.#isFounding = false
    this.#options.founded()
  }

  #isNoted(nodeId: number): boolean {
    if (this.#underWay.has(nodeId)) return false
    return this.#options.groups.every(({ addresses }) => {
      const member = addresses.get(nodeId)
      return member === undefined || member.incarnation !== undefined
    })
  }

  #others(): readonly number[] {
    const all = new Set(this.#options.groups.flatMap(({ addresses }) => [...addresses.keys()]))
    all.delete(this.#options.nodeId)
    return [...all]
  }
}
