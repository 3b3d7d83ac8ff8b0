/**
 * The disk of one state node: slow, full, failing, torn or corrupt at times.
 *
 * Invariant: what a commit promised is there after a crash, unless the disk itself was damaged (a flipped bit, a torn
 * write). Then `isDamaged` says so, and a replica may refuse this disk and no other.
 */
import type { Random } from '../runtime/random.ts'
import { MemoryDisk } from '../state-cluster/storage/memory-store.ts'
import {
  type Store,
  type StoreErrorCode,
  type StoreWrite,
  withCommit,
} from '../state-cluster/storage/store.ts'
import type { Counts } from './counts.ts'
import type { SimOptions } from './options.ts'
import type { Process } from './process.ts'

export class SimDisk {
  /** Its content may be wrong. */
  isDamaged = false
  /** How much longer a commit takes. */
  stallMs = 0
  readonly #platter = new MemoryDisk()
  readonly #options: SimOptions['disk']
  readonly #random: Random
  readonly #counts: Counts
  /** Commits that have not settled, oldest first. */
  readonly #unsettled = new Set<readonly StoreWrite[]>()
  readonly #failures = new Set<StoreErrorCode>()

  constructor(options: SimOptions['disk'], random: Random, counts: Counts) {
    this.#options = options
    this.#random = random
    this.#counts = counts
  }

  /** Puts these rows on a new disk. */
  async prepare(writes: readonly StoreWrite[]): Promise<void> {
    const store = this.#platter.open()
    await store.commit(writes)
    await store.close()
  }

  /**
   * Opens it for a process; commits take time in that process. `onFailed` is called when one has failed: the process
   * must end.
   */
  open(process: Process, onFailed: () => void): Store {
    const store = this.#platter.open((byteCount, done) => process.after(this.#latencyMs(byteCount), done))
    const commit = (writes: readonly StoreWrite[]): Promise<void> => {
      this.#unsettled.add(writes)
      const settled = store.commit(writes)
      const forget = (): void => {
        this.#unsettled.delete(writes)
      }
      settled.then(forget, () => {
        forget()
        onFailed()
      })
      return settled
    }
    return withCommit(store, commit)
  }

  /** The power fails: the commit in flight is on the disk or not, later ones are not. `tear`: half of it is. */
  crash(tear: boolean): void {
    const inFlight = [...this.#unsettled][0]
    this.#unsettled.clear()
    const survives = tear || this.#random.chance(0.5)
    this.#platter.crash(survives)
    if (!tear || inFlight === undefined || inFlight.length === 0) return
    const { key, value } = this.#random.pick(inFlight)
    if (value === undefined) return
    for (let bits = 1 + this.#random.below(20); bits > 0; bits--)
      this.#platter.flipBit(key, this.#random.below(8 * Math.max(1, value.length)))
    this.#damaged('tornWrite')
  }

  /** Flips a bit of some value. Returns whether there was one. */
  rot(): boolean {
    const keys = this.#platter.sortedKeys()
    if (keys.length === 0) return false
    const key = Uint8Array.from(this.#random.pick(keys), (character) => character.charCodeAt(0))
    if (!this.#platter.flipBit(key, this.#random.below(4_000))) return false
    this.#damaged('bitFlip')
    return true
  }

  /** From now on every commit fails with this code; `undefined` ends it. A sync that failed may have written. */
  failWith(code: StoreErrorCode | undefined): void {
    if (code !== undefined) this.#failures.add(code)
    this.#platter.failWith(code, code === 'disk_failed' && this.#random.chance(0.5))
  }

  /** Whether it ever failed with this code. A process that was paused may learn of a failure late. */
  hasFailedWith(code: StoreErrorCode): boolean {
    return this.#failures.has(code)
  }

  #damaged(how: 'tornWrite' | 'bitFlip'): void {
    this.isDamaged = true
    this.#counts.add(`fault.${how}`)
  }

  #latencyMs(byteCount: number): number {
    const { syncMs, bytesPerMs } = this.#options
    const [least, most] = syncMs
    const seek = least + this.#random.unit() * (most - least)
    return seek + byteCount / bytesPerMs + this.stallMs
  }
}
