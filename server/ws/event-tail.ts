/**
 * Keeps the last events of one watched auction in memory.
 *
 * With them, clients that come back from another server are resumed without a read. Older events are left to reads.
 * Invariant: the events after `base` have no gap, and neither the feed nor a read has given a newer one. Source:
 * docs/spec.md FLOW12.
 *
 *   base ── event ── event ── … ── newest        at most `eventsMax` events; the oldest becomes the base
 */
import type { EncodedFrame } from '../../protocol/encode.ts'
import type { Position } from '../../state-cluster/index.ts'

export interface TailEvent extends Position {
  readonly frame: EncodedFrame
}

/** About one second of a busy auction. */
export const eventsMax = 16

export class EventTail {
  /** Absent until the position before `#events` is known. */
  #base: Position | undefined
  #events: TailEvent[] = []

  /** Adds the next event of the feed. A known one is ignored; one after a gap replaces the tail. */
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

  /** Replaces the tail by a read (all events after `base`), if the read is newer. */
  read(base: Position, events: readonly TailEvent[]): void {
    const newest = this.#newest
    if (newest !== undefined && (events.at(-1) ?? base).seq <= newest.seq) return
    this.#base = base
    this.#events = [...events]
    this.#trim()
  }

  /** The events after a position, or `undefined` if the tail does not have that position. */
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
