/**
 * How far a rehearsal is, on standard error. Invariant: at a terminal one line that rewrites itself and is gone at
 * the end; elsewhere a line now and then, and none within the first seconds.
 */
import { type Io, note } from '../io.ts'
import type { RecordedAuction } from './recorded-sale.ts'

const rewriteMs = 200
const lineMs = 5_000

export class Progress {
  readonly #auctions: number
  readonly #bids: number
  readonly #io: Io
  #auctionsDone = 0
  #bidsDone = 0
  #shownMs: number

  constructor(sale: readonly RecordedAuction[], io: Io) {
    this.#auctions = sale.length
    this.#bids = sale.reduce((sum, { bids }) => sum + bids.length, 0)
    this.#io = io
    this.#shownMs = performance.now()
  }

  bid(): void {
    this.#bidsDone += 1
    this.#show()
  }

  auction(): void {
    this.#auctionsDone += 1
    this.#show()
  }

  get #text(): string {
    return `rehearsed ${this.#auctionsDone} of ${this.#auctions} auctions, ${this.#bidsDone} of ${this.#bids} bids`
  }

  #show(): void {
    const nowMs = performance.now()
    const isTerminal = this.#io.stderr.isTTY === true
    if (nowMs - this.#shownMs < (isTerminal ? rewriteMs : lineMs)) return
    this.#shownMs = nowMs
    if (isTerminal) this.#io.stderr.write(`\r${this.#text}\u001B[K`)
    else note(this.#io, this.#text)
  }

  end(): void {
    if (this.#io.stderr.isTTY === true) this.#io.stderr.write('\r\u001B[K')
  }
}
