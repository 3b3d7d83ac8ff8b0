/**
 * Remembers which peers lost messages in this turn, and reports each once after it.
 *
 * Raft is still handing out messages when one of them is dropped, so the report has to wait.
 * Invariant: at most one note per peer, group and turn. Source: docs/spec.md PEER10.
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
