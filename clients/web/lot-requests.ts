/**
 * Sends the requests of an auction's page and turns the answers into actions.
 * Invariant: every bid that is sent ends in one action, answered or failed; a failed request is shown to the
 * reader, unless the page has left or the auction does not exist, which the page shows itself.
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import type { BidKind } from '../../protocol/fields.ts'
import type { AuctionId } from '../../protocol/ids.ts'
import type { Amount } from '../../protocol/money.ts'
import { type BidOutcome, ProblemError } from '../core/index.ts'
import { type App, sentenceFor } from './app.ts'
import { askTwice } from './ask-twice.ts'
import type { LotAction, LotState } from './lot-model.ts'
import { money } from './money-text.ts'

/** Events whose bids one request covers. */
const historyPage = 500

/** The page's state, as its requests see it. */
export interface LotStore {
  readonly state: () => LotState
  /** Ignored once the page has left. */
  readonly dispatch: (action: LotAction) => void
  readonly hasLeft: () => boolean
}

export class LotRequests {
  readonly #app: App
  readonly #auctionId: AuctionId
  readonly #store: LotStore

  constructor(app: App, auctionId: AuctionId, store: LotStore) {
    this.#app = app
    this.#auctionId = auctionId
    this.#store = store
  }

  /** Loads the bids that are missing after a snapshot: after a gap the rest, at first the latest ones. */
  async loadHistory(auction: AuctionView): Promise<void> {
    const { history, hasEarlier: hadEarlier } = this.#store.state()
    const known = history.at(-1)?.seq
    const after = known ?? Math.max(0, auction.seq - historyPage)
    const hasEarlier = known === undefined ? after > 0 : hadEarlier
    for (let from = after; ; ) {
      const page = await this.#bidsAfter(from)
      if (page === undefined) return
      this.#store.dispatch({ type: 'history', bids: page.bids, hasEarlier })
      if (page.next === undefined) return
      from = page.next
    }
  }

  /** Loads one page of bids older than those that are known. */
  async loadEarlier(): Promise<void> {
    const first = this.#store.state().history[0]?.seq
    if (first === undefined) return
    const after = Math.max(0, first - 1 - historyPage)
    const page = await this.#bidsAfter(after)
    if (page !== undefined) this.#store.dispatch({ type: 'history', bids: page.bids, hasEarlier: after > 0 })
  }

  async bid(amount: Amount, kind: BidKind): Promise<void> {
    this.#store.dispatch({ type: 'bid_sent', bid: { amount, kind } })
    await this.#settle(this.#app.session.placeBid({ auctionId: this.#auctionId, amount, kind }))
  }

  /** Asks the reader first: buying ends the auction. */
  async buyNow(): Promise<void> {
    const { auction } = this.#store.state()
    if (auction === undefined || auction.buyNow === null) return
    const price = money(auction.buyNow, auction.currency)
    const question = `Buy “${auction.title}” for ${price}? This ends the auction.`
    if (!(await askTwice(question, `Buy for ${price}`))) return
    this.#store.dispatch({ type: 'bid_sent', bid: { kind: 'exact' } })
    await this.#settle(this.#app.session.buyNow({ auctionId: this.#auctionId }))
  }

  async #settle(sent: Promise<BidOutcome>): Promise<void> {
    const outcome = await this.#answered(sent)
    this.#store.dispatch(outcome === undefined ? { type: 'bid_failed' } : { type: 'bid_answered', outcome })
  }

  #bidsAfter(after: number) {
    return this.#answered(this.#app.http.bids(this.#auctionId, { after, limit: historyPage }))
  }

  /** The answer; `undefined` after a failure, which is shown. */
  async #answered<Answer>(sent: Promise<Answer>): Promise<Answer | undefined> {
    try {
      return await sent
    } catch (error) {
      const isMissing = error instanceof ProblemError && error.problem.code === 'auction_not_found'
      if (!this.#store.hasLeft() && !isMissing) this.#app.say(sentenceFor(error), 'bad')
      return undefined
    }
  }
}
