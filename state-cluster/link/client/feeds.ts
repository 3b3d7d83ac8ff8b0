/**
 * The feeds that this process follows, from the preferred node.
 *
 * Which node is preferred is decided in remote.ts. Invariant: every listener of a group gets each batch after its
 * beginning exactly once and in order of index, across nodes and reconnects. Where a node no longer has the missed
 * batches, every listener gets the gap before the feed continues. Source: docs/spec.md LINK8.
 */
import type { GroupId } from '../../../protocol/ids.ts'
import { TransportError } from '../../../wire/errors.ts'
import type { FeedBatch, FeedGap } from '../../cluster.ts'
import { decodeIndexDone, encodeGroupRequest, encodeSubscribe, type GroupIndex } from '../wire.ts'
import type { NodeLink } from './node-link.ts'

interface Listener {
  readonly batch: (batch: FeedBatch) => void
  readonly gap: ((gap: FeedGap) => void) | undefined
}

interface Feed {
  readonly groupId: GroupId
  readonly listeners: Set<Listener>
  /** The listeners have everything up to this index. Unknown until a node has answered the first subscription. */
  index: number | undefined
  on: Subscription | undefined
}

/** A request for a feed. */
interface Subscription {
  readonly node: NodeLink
  /**
   * The node has answered. What it sends before that belongs to an earlier subscription, which it did not yet know
   * to be over: it lacks what was ignored in between.
   */
  hasBegun: boolean
}

/** Whether what the node sends belongs to the present subscription. */
function isFrom({ on }: Feed, node: NodeLink): boolean {
  return on?.node === node && on.hasBegun
}

export class Feeds {
  readonly #feeds = new Map<GroupId, Feed>()
  readonly #noteIndex: (groupId: GroupId, index: number) => void
  readonly #shownIndex: (groupId: GroupId) => number | undefined
  #preferred: NodeLink | undefined

  /** `shownIndex`: the index that this process has already seen of a group; a new feed begins after it. */
  constructor(
    noteIndex: (groupId: GroupId, index: number) => void,
    shownIndex: (groupId: GroupId) => number | undefined,
  ) {
    this.#noteIndex = noteIndex
    this.#shownIndex = shownIndex
  }

  subscribe(
    groupId: GroupId,
    batch: (batch: FeedBatch) => void,
    gap: ((gap: FeedGap) => void) | undefined,
  ): () => void {
    const listener: Listener = { batch, gap }
    let feed = this.#feeds.get(groupId)
    if (feed === undefined) {
      feed = { groupId, listeners: new Set(), index: this.#shownIndex(groupId), on: undefined }
      this.#feeds.set(groupId, feed)
    }
    feed.listeners.add(listener)
    this.follow()
    return () => this.#end(feed, listener)
  }

  /** From now on the feeds come from this node. */
  setPreferred(preferred: NodeLink | undefined): void {
    if (preferred === this.#preferred) return
    for (const feed of this.#feeds.values()) {
      if (feed.on?.node.isOpen === true) this.#leave(feed, feed.on.node)
      feed.on = undefined
    }
    this.#preferred = preferred
    this.follow()
  }

  /** Subscribes to every feed that was not yet requested from the preferred node. */
  follow(): void {
    const preferred = this.#preferred
    if (preferred === undefined) return
    for (const feed of this.#feeds.values()) {
      if (feed.on?.node === preferred || feed.listeners.size === 0) continue
      const subscription: Subscription = { node: preferred, hasBegun: false }
      const taken = preferred.request(
        (id) => encodeSubscribe(id, feed.groupId, feed.index),
        (outcome) => {
          if (outcome instanceof TransportError || feed.on !== subscription) return
          if (outcome.failure !== undefined) return
          subscription.hasBegun = true
          this.#begin(feed, decodeIndexDone(outcome.fields))
        },
      )
      if (taken) feed.on = subscription
    }
  }

  batch(node: NodeLink, batch: FeedBatch): void {
    const feed = this.#feeds.get(batch.groupId)
    if (feed?.index === undefined || !isFrom(feed, node) || batch.index <= feed.index) return
    feed.index = batch.index
    this.#noteIndex(batch.groupId, batch.index)
    for (const listener of [...feed.listeners]) listener.batch(batch)
  }

  gap(node: NodeLink, { groupId, index }: GroupIndex): void {
    const feed = this.#feeds.get(groupId)
    if (feed?.index === undefined || !isFrom(feed, node) || index <= feed.index) return
    const gap: FeedGap = { groupId, afterIndex: feed.index, toIndex: index }
    feed.index = index
    this.#noteIndex(groupId, index)
    for (const listener of [...feed.listeners]) listener.gap?.(gap)
  }

  close(): void {
    this.#feeds.clear()
    this.#preferred = undefined
  }

  #begin(feed: Feed, index: number): void {
    feed.index ??= index
    this.#noteIndex(feed.groupId, index)
  }

  #end(feed: Feed, listener: Listener): void {
    feed.listeners.delete(listener)
    if (feed.listeners.size > 0 || this.#feeds.get(feed.groupId) !== feed) return
    this.#feeds.delete(feed.groupId)
    if (feed.on !== undefined) this.#leave(feed, feed.on.node)
  }

  /** A node without room for this request keeps sending the feed, which is then ignored. */
  #leave(feed: Feed, node: NodeLink): void {
    node.request(
      (id) => encodeGroupRequest(id, 'unsubscribe', feed.groupId),
      () => undefined,
    )
  }
}
