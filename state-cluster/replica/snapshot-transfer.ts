/**
 * Sends snapshots of one group from a leader to followers.
 *
 * A follower needs one when its log ends before the leader's begins. The replica decides when; the transport carries
 * the bytes; snapshot-arrival.ts takes them in.
 * Invariant: a transfer is one checkpoint, read from one view; one that broke off goes on with that view for as long as it
 * is kept, and the log after it is kept with it.
 * Source: docs/raft.md, the caller's duties 5, 9 and 12; docs/spec.md SNAP1 to SNAP7.
 */
import type { GroupId } from '../../protocol/ids.ts'
import type { PeerTransport, SnapshotQuestion, SnapshotSource } from '../peers/peer-transport.ts'
import type { Message } from '../raft/index.ts'
import { type CheckpointPosition, readCheckpoint } from '../storage/checkpoint.ts'
import { encodeOffer, offersOf, wantedPages } from '../storage/history-offer.ts'
import { corrupt } from '../storage/layout.ts'
import type { Members } from '../storage/member-record.ts'
import { statePages } from '../storage/snapshot-rows.ts'
import { type Store, StoreError, type StoreView } from '../storage/store.ts'
import type { SentSnapshot } from './log-keeping.ts'
import type { RareEvent, SnapshotReason } from './rare-events.ts'
import { snapshotOf } from './snapshot-head.ts'
import { encodeQuestion, type Question } from './snapshot-questions.ts'

export interface SnapshotTransferOptions {
  readonly store: Pick<Store, 'view'>
  readonly groupId: GroupId
  readonly transport: Pick<PeerTransport, 'sendSnapshot'>
  readonly members: () => Members
  /** Where the log begins now. */
  readonly firstIndex: () => number
  /** For how long a transfer that broke off may go on. */
  readonly resumeTicks: number
  /** Whether a member holds nothing yet. */
  readonly isNew: (nodeId: number) => boolean
  readonly note: (event: RareEvent) => void
  /** How a transfer to a node ended. */
  readonly sent: (nodeId: number, isStored: boolean) => void
  /** What the disk holds is damaged, or it failed. */
  readonly failed: (error: StoreError) => void
}

/** A checkpoint that is being sent, or whose transfer broke and may go on. */
interface Sending {
  readonly view: StoreView
  readonly position: CheckpointPosition
  /** Transfers that read it now. */
  readerCount: number
  /** Its transfer broke: it is kept until this tick. */
  untilTick: number | undefined
}

/** How a transfer broke. */
interface Break {
  readonly error: unknown
  /** What the view holds is damaged. */
  readonly damage: StoreError | undefined
}

export class SnapshotTransfer {
  readonly #options: SnapshotTransferOptions
  /** By member, the last snapshot for it that did not fail. */
  readonly #sentTo = new Map<number, SentSnapshot>()
  /** Members whose last transfer broke. */
  readonly #broken = new Set<number>()
  readonly #sendings = new Map<number, Sending>()
  #tick = 0
  #isOver = false

  constructor(options: SnapshotTransferOptions) {
    this.#options = options
  }

  /** The snapshot that a member takes, or has taken last; `undefined`: none, or it failed. */
  sentTo(nodeId: number): SentSnapshot | undefined {
    return this.#sentTo.get(nodeId)
  }

  /** Streams a checkpoint to `message.to`: the one that broke off, or the newest, perhaps newer than the message's. */
  send(message: Message): void {
    const { groupId, transport, members, note } = this.#options
    const { to } = message
    const sending = this.#keptFor(to) ?? this.#newest()
    sending.untilTick = undefined
    sending.readerCount += 1
    this.#sendings.set(to, sending)
    const { position } = sending
    const { index } = position
    this.#sentTo.set(to, { index, isUnderWay: true })
    note({ type: 'snapshot_sent', to, index, reason: this.#reasonOf(to) })
    const snapshot = snapshotOf({ position, members: members() })
    const source = this.#source(sending)
    transport.sendSnapshot(groupId, { ...message, snapshot }, source.pages()).then(
      () => this.#arrived(to, sending),
      (error: unknown) => this.#brokeOff(to, sending, { error, damage: source.damage() }),
    )
  }

  #newest(): Sending {
    const { store, groupId } = this.#options
    const view = store.view()
    const position = readCheckpoint(view, groupId)
    if (position === undefined) throw corrupt('checkpoint', 'it is not there')
    return { view, position, readerCount: 0, untilTick: undefined }
  }

  /** What broke off, if the log still has what follows it. */
  #keptFor(to: number): Sending | undefined {
    const kept = this.#sendings.get(to)
    if (kept === undefined || kept.position.index >= this.#options.firstIndex() - 1) return kept
    this.#drop(to, kept)
    return undefined
  }

  /** History that the receiver lacks, then the rows of the state that it lacks. */
  #source({ view }: Sending): { pages: () => SnapshotSource; damage: () => StoreError | undefined } {
    const { groupId } = this.#options
    let damage: StoreError | undefined
    let answer: Uint8Array = new Uint8Array()
    const asked = (question: Question): SnapshotQuestion => ({
      question: encodeQuestion(question),
      answered: (bytes) => {
        answer = bytes
      },
    })
    async function* pages() {
      try {
        for (const offer of offersOf(view, groupId)) {
          yield asked({ offer: encodeOffer(offer) })
          yield* wantedPages(view, groupId, { offer, wants: answer })
        }
        yield asked({})
        yield* statePages(view, groupId, answer.length === 0 ? undefined : answer)
      } catch (error) {
        if (error instanceof StoreError) damage = error
        throw error
      }
    }
    return { pages, damage: () => damage }
  }

  #arrived(to: number, sending: Sending): void {
    sending.readerCount -= 1
    this.#drop(to, sending)
    this.#sentTo.set(to, { index: sending.position.index, isUnderWay: false })
    this.#broken.delete(to)
    this.#options.sent(to, true)
  }

  /** The checkpoint is kept for a while, with the log after it, so that the next transfer goes on with it. */
  #brokeOff(to: number, sending: Sending, { error, damage }: Break): void {
    const { note, sent, failed, resumeTicks } = this.#options
    sending.readerCount -= 1
    const isKept = this.#sendings.get(to) === sending
    if (isKept && !this.#isOver) sending.untilTick = this.#tick + resumeTicks
    else this.#drop(to, sending)
    this.#broken.add(to)
    note({ type: 'snapshot_broken', to, index: sending.position.index, cause: causeOf(error) })
    if (damage !== undefined) failed(damage)
    else sent(to, false)
  }

  /** Gives up what broke off too long ago. */
  expire(tick: number): void {
    this.#tick = tick
    for (const [to, sending] of this.#sendings) {
      if (sending.untilTick === undefined || sending.untilTick > tick || sending.readerCount > 0) continue
      this.#drop(to, sending)
      this.#sentTo.delete(to)
    }
  }

  /** The replica ends: nothing goes on later. */
  end(): void {
    this.#isOver = true
    for (const [to, sending] of this.#sendings) this.#drop(to, sending)
  }

  /** The view is closed once nobody reads it. */
  #drop(to: number, sending: Sending): void {
    if (this.#sendings.get(to) === sending) this.#sendings.delete(to)
    if (sending.readerCount === 0) sending.view.close()
  }

  #reasonOf(nodeId: number): SnapshotReason {
    if (this.#broken.has(nodeId)) return 'broken'
    return this.#options.isNew(nodeId) ? 'new_member' : 'compacted'
  }
}

function causeOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
