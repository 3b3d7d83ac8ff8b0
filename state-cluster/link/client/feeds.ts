/**
 * The feeds that this process follows, over whichever node is preferred. Invariant: every listener of a group gets each
 * batch from its beginning on exactly once and in order of index, across nodes and reconnects; where a node no
 * longer has what was missed, every listener is told the gap before the feed goes on. Source: docs/spec.md LINK8.
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
  /** Everything up to here was told; unknown until a node has said where "from now on" begins. */
  index: number | undefined
  /** The node that was asked for it. */
  on: NodeLink | undefined
}

export class Feeds {
  readonly #feeds = new Map<GroupId, Feed>()
  readonly #noteIndex: (groupId: GroupId, index: number) => void
  readonly #shownIndex: (groupId: GroupId) => number | undefined
  #preferred: NodeLink | undefined

  /** `shownIndex`: what this process has seen of a group already; a feed that begins, begins behind it. */
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

  /** From now on the feed comes from this node. */
  setPreferred(preferred: NodeLink | undefined): void {
    if (preferred === this.#preferred) return
    for (const feed of this.#feeds.values()) {
      if (feed.on?.isOpen === true) this.#leave(feed, feed.on)
      feed.on = undefined
    }
    this.#preferred = preferred
    this.follow()
  }

  /** Requests for every feed that the preferred node was not asked for yet. */
  follow(): void {
    const preferred = this.#preferred
    if (preferred === undefined) return
    for (const feed of this.#feeds.values()) {
      if (feed.on === preferred || feed.listeners.size === 0) continue
      const taken = preferred.ask(
        (id) => encodeSubscribe(id, feed.groupId, feed.index),
        (outcome) => {
          if (outcome instanceof TransportError || feed.on !== preferred) return
          if (outcome.failure === undefined) this.#begin(feed, decodeIndexDone(outcome.fields))
        },
      )
      if (taken) feed.on = preferred
    }
  }

  batch(node: NodeLink, batch: FeedBatch): void {
    const feed = this.#feeds.get(batch.groupId)
    if (feed?.index === undefined || feed.on !== node || batch.index <= feed.index) return
    feed.index = batch.index
    this.#noteIndex(batch.groupId, batch.index)
    for (const listener of [...feed.listeners]) listener.batch(batch)
  }

  gap(node: NodeLink, { groupId, index }: GroupIndex): void {
    const feed = this.#feeds.get(groupId)
    if (feed?.index === undefined || feed.on !== node || index <= feed.index) return
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
    if (feed.on !== undefined) this.#leave(feed, feed.on)
  }

  /** A node that did not take this goes on telling; what it tells is not listened to. */
  #leave(feed: Feed, node: NodeLink): void {
    node.ask(
      (id) => encodeGroupRequest(id, 'unsubscribe', feed.groupId),
      () => undefined,
    )
  }
}
