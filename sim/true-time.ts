/**
 * The oracle of true time: no entry is stamped far from it.
 *
 * Every deadline is judged by stamps, so no auction opens, closes or refuses further from true time than the stamps
 * are. An entry is looked at when the first node gives it to its disk, which is when its leader has stamped it.
 *
 * Invariant: only true time, the clocks of the hosts and what is written are looked at, nothing that a replica says of
 * itself. Source: docs/sim.md, "What is checked"; docs/spec.md TIME7.
 */
import { decodeEntry as decodeMachineEntry } from '../state-cluster/machine/index.ts'
import { decodeEntry, entryKey } from '../state-cluster/storage/layout.ts'
import { unpack } from '../state-cluster/storage/pack.ts'
import { type Store, withCommit } from '../state-cluster/storage/store.ts'
import type { Checks } from './checks.ts'
import type { Counts } from './counts.ts'

/** Beyond the error of the clocks that are right: what two of them may be apart and still agree, and a second. */
const slackMs = 3_000
/** Without an entry for so long, all nodes may have been down. */
const outageMs = 1_000
/** How long a majority of right clocks must be able to compare before what was lost in outages is made up for. */
const madeUpMs = 5_000
const entryTag = entryKey(0 as never, 0)[2]

export interface TrueTimeOptions {
  readonly checks: Checks
  readonly counts: Counts
  /** Epoch ms. */
  readonly nowMs: () => number
  /** The largest error of a clock that did not jump; ms. */
  readonly errorMs: () => number
  /** Whether a majority of the voters is up, with clocks that are right, and not cut off from each other. */
  readonly canCompare: () => boolean
}

export class TrueTime {
  readonly #options: TrueTimeOptions
  /** The latest term that was seen at each index. */
  readonly #terms = new Map<number, number>()
  #mostMs = 0
  #lastMs = 0
  /** By how much stamps may be behind: outages after which no majority of right clocks could say how long they were. */
  #lostMs = 0
  #comparesSinceMs: number | undefined

  constructor(options: TrueTimeOptions) {
    this.#options = options
  }

  /** The store of a node, watched for entries that no node has written before. */
  watched(store: Store): Store {
    return withCommit(store, (writes) => {
      for (const { key, value } of writes)
        if (key[2] === entryTag && value !== undefined) this.#look(key, value)
      return store.commit(writes)
    })
  }

  /** To be called often: whether clocks can be compared may have changed. */
  look(): void {
    const { canCompare, nowMs } = this.#options
    if (!canCompare()) this.#comparesSinceMs = undefined
    else {
      this.#comparesSinceMs ??= nowMs()
      if (nowMs() - this.#comparesSinceMs > madeUpMs) this.#lostMs = 0
    }
  }

  #look(key: Uint8Array, value: Uint8Array): void {
    const { type, index, term, data } = decodeEntry(key, value)
    if ((this.#terms.get(index) ?? 0) >= term) return
    this.#terms.set(index, term)
    if (type !== 'EntryNormal' || data.length === 0) return
    const { checks, counts, nowMs, errorMs } = this.#options
    this.look()
    const sinceLastMs = nowMs() - this.#lastMs
    if (this.#lastMs > 0 && sinceLastMs > outageMs) this.#lostMs += sinceLastMs
    this.#lastMs = nowMs()
    const offMs = decodeMachineEntry(unpack(data)).atMs - nowMs()
    if (Math.abs(offMs) > this.#mostMs) {
      counts.add('stamps.offMsMax', Math.ceil(Math.abs(offMs)) - Math.ceil(this.#mostMs))
      this.#mostMs = Math.abs(offMs)
    }
    const boundMs = errorMs() + slackMs
    checks.hold(
      offMs <= boundMs && -offMs <= boundMs + this.#lostMs,
      'stamps keep to true time',
      () =>
        `entry ${index} of term ${term} is stamped ${Math.round(offMs)} ms from true time, and the clocks that are right by ${Math.round(boundMs - slackMs)}`,
    )
  }
}
