/**
 * Finds the leader of each group in the reports of the connected nodes.
 *
 * Invariant: a node is returned only while it is connected and has not itself denied, for that term or a later one,
 * that it leads. So a refused request does not return to the same node at once. Source: docs/spec.md LINK5.
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

  /** The last report of a node about a group; leader 0 if there is none. */
  viewOf(node: NodeLink, groupId: GroupId): LeaderView {
    return this.#views.get(node)?.get(groupId) ?? { leaderId: 0, term: 0 }
  }

  /** The node that leads the group, or `undefined`. */
  of(groupId: GroupId): NodeLink | undefined {
    return this.#leaderOf(groupId)?.node
  }

  /** The term of the leader that `of` returns, or 0. */
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
