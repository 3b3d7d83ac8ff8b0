/**
 * Remembers which peers lost messages in this turn and says so once, after it: raft is in the middle of handing
 * out messages when one of them is dropped. Invariant: at most one note per peer, group and turn.
 */
import type { GroupId } from '../../protocol/ids.ts'

export class UnreachableNotes {
  readonly #afterTurn: (run: () => void) => void
  readonly #report: (nodeId: number, groupId: GroupId) => void
  #notes = new Map<number, Set<GroupId>>()

  constructor(afterTurn: (run: () => void) => void, report: (nodeId: number, groupId: GroupId) => void) {
    this.#afterTurn = afterTurn
    this.#report = report
  }

  note(nodeId: number, groupId: GroupId): void {
    if (this.#notes.size === 0) this.#afterTurn(() => this.#tell())
    const groups = this.#notes.get(nodeId)
    if (groups === undefined) this.#notes.set(nodeId, new Set([groupId]))
    else groups.add(groupId)
  }

  #tell(): void {
    const notes = this.#notes
    this.#notes = new Map()
    for (const [nodeId, groups] of notes) {
      for (const groupId of groups) this.#report(nodeId, groupId)
    }
  }
}
