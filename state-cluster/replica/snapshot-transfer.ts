/**
 * Transfers snapshots of one group from a leader to a follower.
 *
 * A follower needs one when its log ends before the leader's begins. The replica decides when to step and to install;
 * the transport carries the bytes. A transfer that breaks is dropped and starts from the beginning.
 * Invariant: a transfer is one checkpoint, read from one view; what comes in touches nothing that is in use until the
 * replica installs it.
 * Source: docs/raft.md, the caller's duties 4, 5, 9 and 12; docs/spec.md SNAP1 to SNAP5.
 */
import type { GroupId } from '../../protocol/ids.ts'
import type { PeerTransport, SnapshotSink } from '../peers/peer-transport.ts'
import type { Message, Snapshot } from '../raft/index.ts'
import { type CheckpointPosition, readCheckpoint } from '../storage/checkpoint.ts'
import { clearIncoming, storeIncoming } from '../storage/incoming-snapshot.ts'
import { corrupt } from '../storage/layout.ts'
import { decodeMembers, encodeMembers, type Members } from '../storage/member-record.ts'
import { pack, unpack } from '../storage/pack.ts'
import { snapshotPages } from '../storage/snapshot-rows.ts'
import { type Store, StoreError } from '../storage/store.ts'
import type { SentSnapshot } from './log-keeping.ts'
import type { RareEvent, SnapshotReason } from './rare-events.ts'

export interface SnapshotTransferOptions {
  readonly store: Store
  readonly groupId: GroupId
  readonly transport: Pick<PeerTransport, 'sendSnapshot'>
  readonly members: () => Members
  /** Whether a member holds nothing yet. */
  readonly isNew: (nodeId: number) => boolean
  readonly note: (event: RareEvent) => void
  /** How a transfer to a node ended. */
  readonly sent: (nodeId: number, isStored: boolean) => void
  /** What the disk holds is damaged, or it failed. */
  readonly failed: (error: StoreError) => void
}

/** What travels in a snapshot beside its rows. */
export interface SnapshotHead {
  readonly position: CheckpointPosition
  readonly members: Members
}

type Arrival = 'none' | 'arriving' | 'arrived'

export class SnapshotTransfer {
  readonly #options: SnapshotTransferOptions
  /** By member, the last snapshot for it that did not fail. */
  readonly #sentTo = new Map<number, SentSnapshot>()
  /** Members whose last transfer broke. */
  readonly #broken = new Set<number>()
  #arrival: Arrival = 'none'
  #lastWork: Promise<void> = Promise.resolve()

  constructor(options: SnapshotTransferOptions) {
    this.#options = options
  }

  /** The snapshot that a member takes, or has taken last; `undefined`: none, or it failed. */
  sentTo(nodeId: number): SentSnapshot | undefined {
    return this.#sentTo.get(nodeId)
  }

  /** Streams the newest checkpoint to `message.to`; it may be newer than the one that the message names. */
  send(message: Message): void {
    const { store, groupId, transport, members, note, sent, failed } = this.#options
    const { to } = message
    const view = store.view()
    const position = readCheckpoint(view, groupId)
    if (position === undefined) throw corrupt('checkpoint', 'it is not there')
    const { index, term, confState } = position
    const data = pack([position.stateHash, encodeMembers(members())])
    const snapshot: Snapshot = { data, metadata: { index, term, confState } }
    this.#sentTo.set(to, { index, isUnderWay: true })
    note({ type: 'snapshot_sent', to, index, reason: this.#reasonOf(to) })
    let damage: StoreError | undefined
    async function* pages() {
      try {
        yield* snapshotPages(view, groupId)
      } catch (error) {
        if (error instanceof StoreError) damage = error
        throw error
      }
    }
    transport
      .sendSnapshot(groupId, { ...message, snapshot }, pages())
      .then(
        () => {
          this.#sentTo.set(to, { index, isUnderWay: false })
          this.#broken.delete(to)
          sent(to, true)
        },
        (error: unknown) => {
          this.#sentTo.delete(to)
          this.#broken.add(to)
          note({ type: 'snapshot_broken', to, index, cause: causeOf(error) })
          if (damage !== undefined) failed(damage)
          else sent(to, false)
        },
      )
      .finally(() => view.close())
  }

  #reasonOf(nodeId: number): SnapshotReason {
    if (this.#broken.has(nodeId)) return 'broken'
    return this.#options.isNew(nodeId) ? 'new_member' : 'compacted'
  }

  /** Takes the rows of a MsgSnap; `undefined` while those of an earlier one are here. */
  receive(): SnapshotSink | undefined {
    if (this.#arrival !== 'none') return undefined
    const { store, groupId } = this.#options
    this.#arrival = 'arriving'
    let isEmpty = false
    let isOver = false
    const empty = async (): Promise<void> => {
      if (!isEmpty) await clearIncoming(store, groupId)
      isEmpty = true
    }
    return {
      write: (rows) =>
        this.#inTurn(async () => {
          if (!isOver) await empty()
          if (!isOver) await storeIncoming(store, groupId, rows)
        }),
      finish: () =>
        this.#inTurn(async () => {
          await empty()
          this.#arrival = 'arrived'
        }),
      abort: () => {
        isOver = true
        this.#arrival = 'none'
      },
    }
  }

  /**
   * One piece of work on the incoming area at a time, also across transfers: what an aborted one has under way must
   * not run after the next one has emptied the area. A failing disk is reported to the replica and to the sender.
   */
  async #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#lastWork.then(work)
    this.#lastWork = done.catch(() => undefined)
    try {
      await done
    } catch (error) {
      // Rows that came damaged concern the sender alone.
      if (error instanceof StoreError && error.code !== 'corrupt') this.#options.failed(error)
      throw error
    }
  }

  /** Whether the rows of a MsgSnap are here. */
  get hasArrived(): boolean {
    return this.#arrival === 'arrived'
  }

  /** What had arrived is installed, or of no use: the next may come. */
  done(): void {
    this.#arrival = 'none'
  }
}

function causeOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Throws StoreError `corrupt`. */
export function headOf({ data, metadata }: Snapshot): SnapshotHead {
  const fields = unpack(data)
  if (!Array.isArray(fields) || typeof fields[0] !== 'string' || !(fields[1] instanceof Uint8Array)) {
    throw corrupt('snapshot', 'it does not say what its state is')
  }
  return { position: { ...metadata, stateHash: fields[0] }, members: decodeMembers(fields[1]) }
}
