/**
 * The last few events of one watched auction, as far as this server knows them, and the position right before them:
 * what a client needs that was connected elsewhere a moment ago. Invariant: from `base` on the events follow each
 * other without a gap, and nothing that the feed brought or a read told is newer than the last of them.
 * What lies further back only a read tells. Source: spec FLOW12.
 *
 *   base ── event ── event ── … ── newest        at most `eventsMax` events; the oldest becomes the base
 */
import type { EncodedFrame } from '../../protocol/encode.ts'
import type { Position } from '../../state-cluster/index.ts'

export interface TailEvent extends Position {
  readonly frame: EncodedFrame
}

/** What a busy auction brings in about a second. */
export const eventsMax = 16

export class EventTail {
  /** Absent before anything is known. */
  #base: Position | undefined
  #events: TailEvent[] = []

  /** The next event of the feed. One that a read told before is passed by; one behind a gap begins anew. */
  published(event: TailEvent): void {
    const newest = this.#newest
    if (newest !== undefined && event.seq <= newest.seq) return
    if (newest !== undefined && event.seq === newest.seq + 1) this.#events.push(event)
    else {
      this.#base = undefined
      this.#events = [event]
    }
    this.#trim()
  }

  /** What a read told that is at least as new as the feed: all events after `base`. */
  read(base: Position, events: readonly TailEvent[]): void {
    const newest = this.#newest
    if (newest !== undefined && (events.at(-1) ?? base).seq <= newest.seq) return
    this.#base = base
    this.#events = [...events]
    this.#trim()
  }

  /** The events after a position; `undefined`: not known here, or no position of this auction. */
  after({ seq, epoch }: Position): readonly TailEvent[] | undefined {
    const isAt = (position: Position): boolean => position.seq === seq && position.epoch === epoch
    if (this.#base !== undefined && isAt(this.#base)) return this.#events
    const at = this.#events.findIndex(isAt)
    return at < 0 ? undefined : this.#events.slice(at + 1)
  }

  /** The last `count` events up to `seq`. */
  latest(seq: number, count: number): readonly TailEvent[] {
    return this.#events.filter((event) => event.seq <= seq).slice(-count)
  }

  get #newest(): Position | undefined {
    return this.#events.at(-1) ?? this.#base
  }

  #trim(): void {
    const excess = this.#events.length - eventsMax
    if (excess <= 0) return
    const [last] = this.#events.splice(0, excess).slice(-1)
    this.#base = last === undefined ? undefined : { seq: last.seq, epoch: last.epoch }
  }
}
