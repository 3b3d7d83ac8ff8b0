/**
 * Linearizable reads of one group that wait for their read index.
 * Invariant: every request is answered once: by the index that Raft has confirmed, or by `undefined` when leadership is
 * lost or the confirmation does not come in time.
 * Source: docs/raft.md, duty 16; Raft dissertation §6.4.
 */
import type { ReadState } from '../raft/index.ts'

interface Waiting {
  readonly untilTick: number
  readonly resolve: (index: number | undefined) => void
}

const contextBytes = 8

export class ReadIndex {
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0

  /** Adds a request: its context for Raft, and the promise of its index. */
  add(untilTick: number): { context: Uint8Array; index: Promise<number | undefined> } {
    this.#lastId += 1
    const id = this.#lastId
    const context = new Uint8Array(contextBytes)
    new DataView(context.buffer).setFloat64(0, id)
    const index = new Promise<number | undefined>((resolve) => {
      this.#waiting.set(id, { untilTick, resolve })
    })
    return { context, index }
  }

  answered(states: readonly ReadState[]): void {
    for (const { index, requestCtx } of states) {
      const id = new DataView(requestCtx.buffer, requestCtx.byteOffset, contextBytes).getFloat64(0)
      this.#waiting.get(id)?.resolve(index)
      this.#waiting.delete(id)
    }
  }

  expire(tick: number): void {
    for (const [id, { untilTick, resolve }] of this.#waiting) {
      if (untilTick > tick) return
      this.#waiting.delete(id)
      resolve(undefined)
    }
  }

  /** Leadership is lost: no index can be confirmed. */
  drop(): void {
    for (const { resolve } of this.#waiting.values()) resolve(undefined)
    this.#waiting.clear()
  }
}
