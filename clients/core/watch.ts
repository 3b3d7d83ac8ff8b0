/**
 * One watched auction: its view, its last event, and what to request after a gap.
 * Invariant: the listener sees a snapshot first, then events whose `seq` rises by one, none twice. After a gap, a
 * `resync` or a new socket the session subscribes again from the last event; where the house cannot continue from
 * there, it sends another snapshot.
 *
 *   asking ──subscribed──▶ live ──gap, resync──▶ asking          (a new socket: asking)
 *          ──resumed────▶
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import type { FrameErrorCode } from '../../protocol/frame-errors.ts'
import type { AuctionId } from '../../protocol/ids.ts'
import type { PublicEventFrame, ServerFrameOf } from '../../protocol/server-frames.ts'
import { applyEvent } from './auction-state.ts'

/** What a watcher receives. `auction` is the view after it. */
export type WatchEvent =
  /** The first event of a watch; sent again where the house did not replay missed events (`missed` is true). */
  | { readonly type: 'snapshot'; readonly auction: AuctionView; readonly missed: boolean }
  | { readonly type: 'event'; readonly auction: AuctionView; readonly event: PublicEventFrame }
  /** The house refuses the watch; nothing follows. */
  | { readonly type: 'refused'; readonly code: FrameErrorCode; readonly message: string }

export type WatchListener = (event: WatchEvent) => void

/** Called when the view stops or begins to be that of the house right now. A first view is current. */
export type CurrentListener = (isCurrent: boolean) => void

/** More missed events than this are not requested: a snapshot is shorter. */
const replayMax = 500

export interface Since {
  readonly epoch: number
  readonly seq: number
}

export class Watch {
  readonly auctionId: AuctionId
  readonly #listeners = new Map<WatchListener, CurrentListener | undefined>()
  #view: AuctionView | undefined
  /** The last event that the listener saw. */
  #last: Since | undefined
  #isAsking = true
  #isSnapshotDue = false
  /** Whether the session hears from the house. */
  #isLive = true
  /** The event that the view must reach, by the answer to `subscribe`. */
  #dueSeq = 0
  #isCurrent = true

  constructor(auctionId: AuctionId) {
    this.auctionId = auctionId
  }

  /** Adds a listener; it receives the latest snapshot at once, where there is one. */
  add(listener: WatchListener, onCurrent?: CurrentListener): void {
    this.#listeners.set(listener, onCurrent)
    if (this.#view === undefined) return
    listener({ type: 'snapshot', auction: this.#view, missed: false })
    if (!this.#isCurrent) onCurrent?.(false)
  }

  /** Removes a listener; `true` when none is left. */
  remove(listener: WatchListener): boolean {
    this.#listeners.delete(listener)
    return this.#listeners.size === 0
  }

  #tell(event: WatchEvent): void {
    for (const listener of [...this.#listeners.keys()]) listener(event)
  }

  /** The latest view, once there was a snapshot. */
  get view(): AuctionView | undefined {
    return this.#view
  }

  /** Where the next `subscribe` continues; absent: at a snapshot. */
  get since(): Since | undefined {
    return this.#isSnapshotDue ? undefined : this.#last
  }

  /** Whether an answer to `subscribe` is awaited. */
  get isAsking(): boolean {
    return this.#isAsking
  }

  /** A `subscribe` goes out, or must on the next socket. */
  asked(): void {
    this.#isAsking = true
    this.#judge()
  }

  /** Whether the session hears from the house. */
  setLive(isLive: boolean): void {
    this.#isLive = isLive
    this.#judge()
  }

  #judge(): void {
    const reached = this.#last?.seq ?? -1
    const isCurrent = this.#isLive && !this.#isAsking && reached >= this.#dueSeq
    // Before the first view there is nothing that could be out of date.
    if (this.#view === undefined || isCurrent === this.#isCurrent) return
    this.#isCurrent = isCurrent
    for (const onCurrent of [...this.#listeners.values()]) onCurrent?.(isCurrent)
  }

  subscribed(frame: ServerFrameOf<'subscribed'>): void {
    const missed = this.#last !== undefined && frame.seq > this.#last.seq
    const isNews = this.#last === undefined || frame.seq >= this.#last.seq
    this.#isAsking = false
    this.#isSnapshotDue = false
    if (isNews) {
      this.#view = frame.auction
      this.#last = { epoch: frame.epoch, seq: frame.seq }
      this.#tell({ type: 'snapshot', auction: frame.auction, missed })
    }
    this.#dueSeq = 0
    this.#judge()
  }

  /** The missed events up to `seq` follow. */
  resumed({ seq }: ServerFrameOf<'resumed'>): void {
    this.#isAsking = false
    this.#isSnapshotDue = false
    this.#dueSeq = seq
    this.#judge()
  }

  refused(code: FrameErrorCode, message: string): void {
    this.#tell({ type: 'refused', code, message })
  }

  /** Takes an event; `true` when some before it are missing and `subscribe` must go out again. */
  event(frame: PublicEventFrame): boolean {
    if (this.#last === undefined || this.#view === undefined) return false
    if (frame.seq <= this.#last.seq) return false
    if (frame.seq > this.#last.seq + 1) {
      this.#isSnapshotDue = frame.seq - this.#last.seq > replayMax
      return !this.#isAsking
    }
    this.#last = { epoch: frame.epoch, seq: frame.seq }
    this.#view = applyEvent(this.#view, frame)
    this.#tell({ type: 'event', auction: this.#view, event: frame })
    this.#judge()
    return false
  }

  /** The house reports that events will not come; `true` when `subscribe` must go out again. */
  resync(frame: ServerFrameOf<'resync'>): boolean {
    if (this.#last === undefined || frame.current <= this.#last.seq) return false
    this.#isSnapshotDue = frame.current - this.#last.seq > replayMax
    return !this.#isAsking
  }
}
