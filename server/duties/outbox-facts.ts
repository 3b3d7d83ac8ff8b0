/**
 * What a page of outbox entries needs to know of auctions and buyers: each is asked for once, all at the same time, so that
 * telling a thousand bids takes a few round trips to the cluster and not thousands. Invariant: what is known here was
 * read after the outbox entries, so it is never older than what they tell. Left to others: who is told what (publisher.ts).
 */
import type { AuctionView as WireView } from '../../protocol/auction-view.ts'
import type { AuctionId, SubjectId } from '../../protocol/ids.ts'
import type { BuyerView, Cluster, OutboxEntry } from '../../state-cluster/index.ts'
import { wireView } from '../frames.ts'

export class OutboxFacts {
  readonly #cluster: Pick<Cluster, 'auction' | 'buyer'>
  readonly #auctions = new Map<AuctionId, Promise<WireView | undefined>>()
  readonly #buyers = new Map<SubjectId, Promise<BuyerView | undefined>>()

  /** Begins to ask for whatever the outbox entries name. */
  constructor(cluster: Pick<Cluster, 'auction' | 'buyer'>, outboxEntries: readonly OutboxEntry[]) {
    this.#cluster = cluster
    for (const { auctionId, recipient } of outboxEntries) {
      if (auctionId !== undefined) void this.auction(auctionId)
      if (recipient !== undefined) void this.buyer(recipient)
    }
  }

  /** The public view; `undefined`: there is no such auction. Rejects with `ClusterError`. */
  auction(id: AuctionId): Promise<WireView | undefined> {
    return once(this.#auctions, id, async () => {
      const view = await this.#cluster.auction(id)
      return view === undefined ? undefined : wireView(view)
    })
  }

  /** `undefined`: nobody registered under this id. Rejects with `ClusterError`. */
  buyer(id: SubjectId): Promise<BuyerView | undefined> {
    return once(this.#buyers, id, () => this.#cluster.buyer(id))
  }
}

function once<Key, Value>(
  known: Map<Key, Promise<Value>>,
  key: Key,
  ask: () => Promise<Value>,
): Promise<Value> {
  const before = known.get(key)
  if (before !== undefined) return before
  const asked = ask()
  // Asked ahead: a failure is for whoever comes to need the answer.
  asked.catch(() => undefined)
  known.set(key, asked)
  return asked
}
