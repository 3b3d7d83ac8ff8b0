/**
 * Reads the auctions and buyers that a page of outbox entries names.
 *
 * Each is read once, and all at the same time, so a page of entries costs a few round trips instead of hundreds. The
 * recipients of an entry are chosen in publisher.ts. Invariant: every fact was read after the entries, so it is never
 * older than they are. Source: docs/spec.md PUBLISH.
 */
import type { AuctionView as WireView } from '../../protocol/auction-view.ts'
import type { AuctionId, SubjectId } from '../../protocol/ids.ts'
import type { BuyerView, Cluster, OutboxEntry } from '../../state-cluster/index.ts'
import { wireView } from '../frames.ts'

export class OutboxFacts {
  readonly #cluster: Pick<Cluster, 'auction' | 'buyer'>
  readonly #auctions = new Map<AuctionId, Promise<WireView | undefined>>()
  readonly #buyers = new Map<SubjectId, Promise<BuyerView | undefined>>()

  /** Starts to read all auctions and buyers that the entries name. */
  constructor(cluster: Pick<Cluster, 'auction' | 'buyer'>, outboxEntries: readonly OutboxEntry[]) {
    this.#cluster = cluster
    for (const { auctionId, recipient } of outboxEntries) {
      if (auctionId !== undefined) void this.auction(auctionId)
      if (recipient !== undefined) void this.buyer(recipient)
    }
  }

  /** The public view, or `undefined` if there is no such auction. Rejects with `ClusterError`. */
  auction(id: AuctionId): Promise<WireView | undefined> {
    return once(this.#auctions, id, async () => {
      const view = await this.#cluster.auction(id)
      return view === undefined ? undefined : wireView(view)
    })
  }

  /** The buyer, or `undefined` if none is registered under this id. Rejects with `ClusterError`. */
  buyer(id: SubjectId): Promise<BuyerView | undefined> {
    return once(this.#buyers, id, () => this.#cluster.buyer(id))
  }
}

function once<Key, Value>(
  known: Map<Key, Promise<Value>>,
  key: Key,
  read: () => Promise<Value>,
): Promise<Value> {
  const before = known.get(key)
  if (before !== undefined) return before
  const reading = read()
  // Started ahead of its use: the caller that awaits it handles the failure.
  reading.catch(() => undefined)
  known.set(key, reading)
  return reading
}
