/**
 * The feed of one group: what is applied, for subscribers and watchers.
 *
 * Subscribers receive events, watchers everything. What they do with it is not the replica's concern.
 * Invariant: each receives what is applied, in order of index, from the moment it subscribed until it unsubscribes,
 * and nothing twice. Source: docs/spec.md STORE13, LINK8.
 */
import type { FeedBatch } from '../cluster.ts'
import { NONE } from '../raft/index.ts'

export type FeedListener = (batch: FeedBatch) => void

/** Who leads a group, as one node knows it. */
export interface LeaderView {
  /** 0: none is known. */
  readonly leaderId: number
  readonly term: number
}

/** What happens in one group, in order, called as it happens. */
export interface GroupWatcher {
  /** An applied entry that has events or outbox entries. */
  batch(batch: FeedBatch): void
  /** Everything up to this index is applied; called after the batches of those entries. */
  applied(index: number): void
  /** A snapshot as of `index` replaced the state: entries up to there were not seen one by one. */
  gap(index: number): void
  leader(view: LeaderView): void
}

export class Feed {
  readonly #listeners = new Set<FeedListener>()
  readonly #watchers = new Set<GroupWatcher>()
  #leader: LeaderView = { leaderId: NONE, term: 0 }

  get leader(): LeaderView {
    return this.#leader
  }

  /** Returns the function that unsubscribes. */
  subscribe(listener: FeedListener): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** Returns the function that ends the watch. */
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

  /** Reports the leader to the watchers where it is another one, or leads in another term. */
  leads(leaderId: number, term: number): void {
    if (leaderId === this.#leader.leaderId && term === this.#leader.term) return
    this.#leader = { leaderId, term }
    for (const watcher of this.#watchers) watcher.leader(this.#leader)
  }
}
