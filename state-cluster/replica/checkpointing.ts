/**
 * Checkpoints and log compaction of one replica, in the background.
 * Invariant: one piece of work runs at a time; the log is compacted only up to a checkpoint that is durable; a failure
 * is reported once. What a checkpoint is, is up to applied-state.ts; the replica decides when to look for work.
 * Source: docs/spec.md STORE7, STORE8, STORE16.
 */

import type { DiskLog } from '../storage/disk-log.ts'
import type { Store } from '../storage/store.ts'
import type { AppliedState } from './applied-state.ts'
import type { ReplicaSettings } from './settings.ts'

/** Entries that one commit of compaction removes. */
const compactionEntriesMax = 1_000

export interface CheckpointingOptions {
  readonly store: Store
  readonly log: DiskLog
  readonly settings: ReplicaSettings
  /** As it is now: a snapshot replaces it. */
  readonly applied: () => AppliedState
  /** The log after this index stays for others. */
  readonly keepAfter: () => number
  /** A piece of work is done. */
  readonly done: () => void
  readonly failed: (error: unknown) => void
}

export class Checkpointing {
  readonly #options: CheckpointingOptions
  #isWanted = false
  #beganAtTick = 0
  #work: Promise<void> | undefined
  #isStopped = false

  constructor(options: CheckpointingOptions) {
    this.#options = options
  }

  get isBusy(): boolean {
    return this.#work !== undefined
  }

  /** Brings to its end what a crash has interrupted. */
  finish(): void {
    this.#keepBusy(this.#options.applied().checkpointer.resume())
  }

  /** The next look makes a checkpoint, due or not. */
  want(): void {
    this.#isWanted = true
  }

  /** Makes a checkpoint if one is due. */
  look(tick: number): void {
    if (this.#work !== undefined) return
    const { checkpointRows, checkpointBytes, checkpointMs, tickMs } = this.#options.settings
    const applied = this.#options.applied()
    const unsaved = applied.unsavedCount
    const isDue =
      this.#isWanted ||
      unsaved >= checkpointRows ||
      applied.bytesSinceCheckpoint >= checkpointBytes ||
      (unsaved > 0 && (tick - this.#beganAtTick) * tickMs >= checkpointMs)
    if (!isDue) return
    this.#beganAtTick = tick
    this.#isWanted = false
    this.#keepBusy(this.#checkpointAndCompact())
  }

  /** Hurries what is under way, and resolves when it has ended. */
  async ended(): Promise<void> {
    this.#options.applied().checkpointer.hurry()
    await this.#work
  }

  /** Begins no further piece of work. */
  stop(): void {
    this.#isStopped = true
  }

  async #checkpointAndCompact(): Promise<void> {
    const { store, log, applied, keepAfter } = this.#options
    await applied().checkpoint((position) => log.checkpointed(position))
    for (;;) {
      const piece = log.compaction(compactionEntriesMax, keepAfter())
      if (piece === undefined || this.#isStopped) return
      await store.commit(piece.writes)
      log.compacted(piece)
    }
  }

  #keepBusy(work: Promise<void>): void {
    const { done, failed } = this.#options
    this.#work = work.then(
      () => {
        this.#work = undefined
        done()
      },
      (error: unknown) => {
        this.#work = undefined
        failed(error)
      },
    )
  }
}
