/**
 * Who is told what happens in one group: subscribers of its events, and watchers of everything. Invariant: each is
 * told what is applied, in order of index, from the moment it asked; who ends it is told nothing more.
 * Source: docs/spec.md STORE13, LINK8.
 */
import type { FeedBatch } from '../cluster.ts'
import type { GroupWatcher, LeaderView } from '../link/backend.ts'
import { NONE } from '../raft/index.ts'

export type FeedListener = (batch: FeedBatch) => void

export class GroupFeed {
  readonly #listeners = new Set<FeedListener>()
  readonly #watchers = new Set<GroupWatcher>()
  #leader: LeaderView = { leaderId: NONE, term: 0 }

  get leader(): LeaderView {
    return this.#leader
  }

  /** Gives what ends it. */
  subscribe(listener: FeedListener): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** Gives what ends it. */
  watch(watcher: GroupWatcher): () => void {
    this.#watchers.add(watcher)
    return () => {
      this.#watchers.delete(watcher)
    }
  }

  batch(batch: FeedBatch): void {
    for (const listener of this.#listeners) listener(batch)
    for (const watcher of this.#watchers) watcher.batch(batch)
  }

  applied(index: number): void {
    for (const watcher of this.#watchers) watcher.applied(index)
  }

  gap(toIndex: number): void {
    for (const watcher of this.#watchers) watcher.gap(toIndex)
  }

  leads(leaderId: number, term: number): void {
    if (leaderId === this.#leader.leaderId && term === this.#leader.term) return
    this.#leader = { leaderId, term }
    for (const watcher of this.#watchers) watcher.leader(this.#leader)
  }
}
