/**
 * Takes in the rows of a snapshot from a leader, until they can be installed.
 *
 *   none ──receive──► arriving ──finish──► arrived ──done──► none
 *                        └──abort──► none, with the rows so far kept for the same snapshot
 *
 * Invariant: what comes touches nothing that is in use until the replica installs it; the rows of one snapshot are never
 * among those of another. Rows stay after a transfer that broke, and the next one of the same state goes on after them;
 * history stays in any case. A restart forgets the rows. Source: docs/spec.md SNAP2, SNAP6, SNAP7.
 */
import type { GroupId } from '../../protocol/ids.ts'
import type { SnapshotSink } from '../peers/peer-transport.ts'
import type { Snapshot } from '../raft/index.ts'
import { wantsOf } from '../storage/history-offer.ts'
import { clearIncomingRows, storeIncoming } from '../storage/incoming-snapshot.ts'
import { isEventKey } from '../storage/layout.ts'
import { type Store, StoreError, type StoreRow } from '../storage/store.ts'
import { headOf } from './snapshot-head.ts'
import { decodeQuestion } from './snapshot-questions.ts'

export interface SnapshotArrivalOptions {
  readonly store: Store
  readonly groupId: GroupId
  /** The disk failed. */
  readonly failed: (error: StoreError) => void
}

/** Rows of the state that are in the incoming area. */
interface Partial {
  /** The state that they are of. */
  readonly identity: string
  lastKey: Uint8Array | undefined
}

export class SnapshotArrival {
  readonly #options: SnapshotArrivalOptions
  #stage: 'none' | 'arriving' | 'arrived' = 'none'
  #partial: Partial | undefined
  #lastWork: Promise<void> = Promise.resolve()

  constructor(options: SnapshotArrivalOptions) {
    this.#options = options
  }

  /** Whether the rows of a MsgSnap are here. */
  get hasArrived(): boolean {
    return this.#stage === 'arrived'
  }

  /** Takes the rows of this snapshot; `undefined` while those of an earlier one are here. */
  receive(snapshot: Snapshot): SnapshotSink | undefined {
    if (this.#stage !== 'none') return undefined
    this.#stage = 'arriving'
    const { store, groupId } = this.#options
    const identity = identityOf(snapshot)
    let isOver = false
    /** Empties the area, unless it has rows of this state. */
    const prepared = async (): Promise<Partial> => {
      if (this.#partial?.identity === identity) return this.#partial
      this.#partial = undefined
      await clearIncomingRows(store, groupId)
      this.#partial = { identity, lastKey: undefined }
      return this.#partial
    }
    return {
      write: (rows) =>
        this.#inTurn(async () => {
          if (isOver) return
          const partial = await prepared()
          await storeIncoming(store, groupId, rows)
          partial.lastKey = lastStateKey(groupId, rows) ?? partial.lastKey
        }),
      answer: (question) =>
        this.#inTurn(async () => {
          const { offer } = decodeQuestion(question)
          if (offer !== undefined) return wantsOf(store, groupId, offer)
          return (await prepared()).lastKey ?? new Uint8Array()
        }),
      finish: () =>
        this.#inTurn(async () => {
          await prepared()
          this.#stage = 'arrived'
        }),
      abort: () => {
        isOver = true
        this.#stage = 'none'
      },
    }
  }

  /** What had arrived is installed, or of no use: the next may come. */
  done(): void {
    this.#stage = 'none'
    this.#partial = undefined
  }

  /**
   * One piece of work on the incoming area at a time, also across transfers: what an aborted one has under way must
   * not run after the next one has emptied the area. A failing disk is reported to the replica and to the sender.
   */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#lastWork.then(work)
    this.#lastWork = done.then(
      () => undefined,
      () => undefined,
    )
    try {
      return await done
    } catch (error) {
      // Rows that came damaged concern the sender alone.
      if (error instanceof StoreError && error.code !== 'corrupt') this.#options.failed(error)
      throw error
    }
  }
}

function identityOf(snapshot: Snapshot): string {
  const { index, term, stateHash } = headOf(snapshot).position
  return `${index} ${term} ${stateHash}`
}

function lastStateKey(groupId: GroupId, rows: readonly StoreRow[]): Uint8Array | undefined {
  // The rows are the transport's.
  return rows.findLast(({ key }) => !isEventKey(groupId, key))?.key.slice()
}
