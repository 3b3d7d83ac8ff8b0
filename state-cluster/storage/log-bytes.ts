/**
 * Counts the bytes of log that are on the disk alone.
 *
 * It finds where to cut them. Sizes are kept as marks, one for each `markBytes` of log, so that a log of any length
 * costs a few kilobytes.
 * Invariant: `cutFor` errs by less than one mark, and never towards keeping more than the bound allows. Entries that
 * were on the disk before `added` was first called count as nothing: nothing is known of them. The decision to cut is
 * that of disk-log.ts. Source: docs/spec.md SNAP5.
 */

interface Mark {
  readonly index: number
  /** Bytes of all entries up to this one. */
  readonly total: number
}

export class LogBytes {
  readonly #markBytes: number
  /** Ascending in both fields. */
  #marks: Mark[] = []
  #total = 0

  constructor(markBytes: number) {
    this.#markBytes = markBytes
  }

  /** The next entry has left memory. */
  added(index: number, bytes: number): void {
    this.#total += bytes
    const last = this.#marks.at(-1)?.total ?? 0
    if (this.#total - last >= this.#markBytes) this.#marks.push({ index, total: this.#total })
  }

  /** The least marked index after which at most `bytesMax` follow; 0: nothing has to go. */
  cutFor(bytesMax: number): number {
    if (this.#total <= bytesMax) return 0
    const fits = this.#marks.find(({ total }) => this.#total - total <= bytesMax)
    return fits?.index ?? Number.POSITIVE_INFINITY
  }

  /** Entries up to here have left the disk. */
  removedUpTo(index: number): void {
    const kept = this.#marks.findIndex((mark) => mark.index > index)
    const gone = kept === -1 ? this.#marks.length : kept
    const before = this.#marks[gone - 1]?.total ?? 0
    if (before === 0) return
    this.#marks = this.#marks.slice(gone).map((mark) => ({ ...mark, total: mark.total - before }))
    this.#total -= before
  }

  /** Entries from here on were replaced by others, which are in memory. */
  droppedFrom(index: number): void {
    const kept = this.#marks.filter((mark) => mark.index < index)
    if (kept.length === this.#marks.length) return
    this.#marks = kept
    this.#total = kept.at(-1)?.total ?? 0
  }

  clear(): void {
    this.#marks = []
    this.#total = 0
  }
}
