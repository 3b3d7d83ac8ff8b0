/**
 * Who leads each group, put together from what each connected node says. Invariant: a node is named only while it
 * is connected and has not itself said, for that term or a later one, that it does not lead; so a request that was
 * refused does not come straight back. Source: docs/spec.md LINK5.
 */
import type { GroupId } from '../../../protocol/ids.ts'
import type { LeaderView } from '../../replica/feed.ts'
import type { NodeLink } from './node-link.ts'

export class Leaders {
  readonly #views = new Map<NodeLink, Map<GroupId, LeaderView>>()

  set(node: NodeLink, groupId: GroupId, view: LeaderView): void {
    const views = this.#views.get(node)
    if (views === undefined) this.#views.set(node, new Map([[groupId, view]]))
    else views.set(groupId, view)
  }

  drop(node: NodeLink): void {
    this.#views.delete(node)
  }

  /** What a node says of a group; leader 0 where it says nothing. */
  viewOf(node: NodeLink, groupId: GroupId): LeaderView {
    return this.#views.get(node)?.get(groupId) ?? { leaderId: 0, term: 0 }
  }

  /** Where proposals of a group go, or `undefined`. */
  of(groupId: GroupId): NodeLink | undefined {
    return this.#leaderOf(groupId)?.node
  }

  /** The term of the leader that `of` names; 0 where it names none. */
  termOf(groupId: GroupId): number {
    return this.#leaderOf(groupId)?.term ?? 0
  }

  #leaderOf(groupId: GroupId): { readonly node: NodeLink; readonly term: number } | undefined {
    let best: NodeLink | undefined
    let bestTerm = -1
    for (const views of this.#views.values()) {
      const view = views.get(groupId)
      if (view === undefined || view.leaderId === 0 || view.term <= bestTerm) continue
      const node = this.#connected(view.leaderId)
      if (node === undefined) continue
      const own = this.viewOf(node, groupId)
      if (own.leaderId !== view.leaderId && own.term >= view.term) continue
      best = node
      bestTerm = view.term
    }
    return best && { node: best, term: bestTerm }
  }

  #connected(nodeId: number): NodeLink | undefined {
    for (const node of this.#views.keys()) {
      if (node.nodeId === nodeId && node.isOpen) return node
    }
    return undefined
  }
}
