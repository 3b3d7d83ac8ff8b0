/**
 * The machine's state as far as the log is applied, with what keeps it: its checkpoints and its history.
 *
 * Invariant: `state` is the outcome of the checkpoint's rows and every entry behind it up to `appliedIndex`, each
 * once and in order; what is read (views, history) is never ahead of or behind that. Leaves order and commitment
 * of entries to Raft, and when to begin a checkpoint to the replica.
 */
import type { AuctionId, GroupId } from '../../protocol/ids.ts'
import type { MachineEntry } from '../machine/commands.ts'
import { type Applied, isPublic, type PublicEvent } from '../machine/events.ts'
import {
  apply,
  decodeEntry,
  decodeHistory,
  dirtyCount,
  emptyState,
  encodeHistory,
  type Row,
  type RowKind,
  restore,
  restoring,
  rowKindCodes,
  type State,
  stateHash,
  takeDirty,
} from '../machine/index.ts'
import type { ConfState, Entry } from '../raft/index.ts'
import { Checkpointer, loadRows, writesOfFirstCheckpoint } from '../storage/checkpoint.ts'
import type { LogPosition } from '../storage/disk-log.ts'
import { History } from '../storage/history.ts'
import { corrupt, partsOfRowName, rowName } from '../storage/layout.ts'
import { pack, unpack } from '../storage/pack.ts'
import type { Store, StoreWrite } from '../storage/store.ts'

/** From this many on, changed rows are taken from the machine at the end of a turn: about a millisecond. */
const gatherRowsMin = 512
/** How often `onProgress` is called while rows load. */
const progressEvery = 10_000

/** What the state is kept by. The simulator puts others around the real one, to watch it and to plant mistakes. */
export interface Machine {
  /** `index` is where the entry stands in the log; the machine itself does not know it. */
  apply(state: State, entry: MachineEntry, index: number): Applied
  restore(rows: Iterable<Row>): State
  /** The same in steps, between which others have their turns; absent: all in one. */
  readonly restoring?: (rows: Iterable<Row>) => Generator<unknown, State>
  stateHash(state: State): string
}

export const auctionMachine: Machine = {
  apply,
  restore: (rows) => restore(rows),
  restoring: (rows) => restoring(rows),
  stateHash,
}

export interface LoadOptions {
  readonly store: Store
  readonly groupId: GroupId
  /** Default the real one. */
  readonly machine?: Machine | undefined
  /** Rows loaded so far. */
  readonly onProgress?: (rows: number) => void
  /** The state of the checkpoint's rows, where it is there already. Default: restored in one go. */
  readonly restored?: State
}

/** What makes the empty state of a new group durable. */
export function writesOfEmptyState(groupId: GroupId, position: LogPosition): StoreWrite[] {
  return writesOfFirstCheckpoint(groupId, { ...position, stateHash: stateHash(emptyState()) })
}

const kindsByCode = new Map<number, RowKind>(
  Object.entries(rowKindCodes).map(([kind, code]) => [code, kind as RowKind]),
)

export class AppliedState {
  readonly state: State
  readonly checkpointer: Checkpointer
  readonly history: History<PublicEvent>
  readonly #machine: Machine
  #appliedIndex: number
  #appliedTerm: number
  #confState: ConfState
  /** Bytes of log entries applied since the last checkpoint began. */
  #bytesSinceCheckpoint = 0

  /** Loads the checkpoint. Throws StoreError `corrupt` where a row is damaged or the hash does not come out. */
  constructor({ store, groupId, machine = auctionMachine, onProgress, restored }: LoadOptions) {
    this.#machine = machine
    this.checkpointer = new Checkpointer(store, groupId)
    const position = this.checkpointer.position
    this.state = restored ?? machine.restore(machineRows(store, groupId, onProgress))
    const hash = machine.stateHash(this.state)
    if (hash !== position.stateHash) {
      throw corrupt('checkpoint', `its state has the hash ${hash} instead of ${position.stateHash}`)
    }
    this.history = new History<PublicEvent>(store, groupId, {
      encode: encodeHistory,
      decode: (tuple, auctionId) => decodeHistory(auctionId, tuple),
    })
    this.#appliedIndex = position.index
    this.#appliedTerm = position.term
    this.#confState = position.confState
  }

  /**
   * Loads the checkpoint in steps, each in a turn of its own, while nobody else writes rows of the group. Rejects as
   * the constructor throws.
   */
  static async byTurns(options: LoadOptions, afterTurn: (run: () => void) => void): Promise<AppliedState> {
    const { store, groupId, machine = auctionMachine, onProgress } = options
    const steps = machine.restoring?.(machineRows(store, groupId, onProgress))
    for (let step = steps?.next(); step !== undefined; step = steps?.next()) {
      if (step.done === true) return new AppliedState({ ...options, restored: step.value })
      await new Promise<void>((resolve) => afterTurn(resolve))
    }
    return new AppliedState(options)
  }

  get appliedIndex(): number {
    return this.#appliedIndex
  }

  /** Where a checkpoint of the state as it is now would stand. */
  get position(): LogPosition {
    return { index: this.#appliedIndex, term: this.#appliedTerm, confState: this.#confState }
  }

  get bytesSinceCheckpoint(): number {
    return this.#bytesSinceCheckpoint
  }

  /** Rows and events that the next checkpoint would write, or a few more. */
  get unsavedCount(): number {
    return dirtyCount(this.state) + this.checkpointer.gatheredCount + this.history.freshCount
  }

  hash(): string {
    return this.#machine.stateHash(this.state)
  }

  /** Applies the next entry of the log that carries commands. */
  apply(entry: Entry): Applied {
    const applied = this.#machine.apply(this.state, decodeEntry(unpack(entry.data)), entry.index)
    for (const event of applied.events) if (isPublic(event)) this.history.add(event)
    this.#moveTo(entry)
    return applied
  }

  /** Moves past the next entry of the log, one without commands. */
  pass(entry: Entry, confState?: ConfState): void {
    if (confState !== undefined) this.#confState = confState
    this.#moveTo(entry)
  }

  /** Takes changed rows over from the machine once there are many, so that no single turn has to take all. */
  gather(): void {
    if (dirtyCount(this.state) >= gatherRowsMin) this.#gatherAll()
  }

  /** Begins a checkpoint of the state as it is now; see `Checkpointer.run`. */
  checkpoint(onHeld: (position: LogPosition) => void): Promise<void> {
    this.#gatherAll()
    const { position } = this
    const events = this.history.freeze()
    this.#bytesSinceCheckpoint = 0
    return this.checkpointer.run(
      { ...position, stateHash: this.#machine.stateHash(this.state) },
      events,
      () => {
        this.history.thaw()
        onHeld(position)
      },
    )
  }

  /** Public events of an auction with from ≤ seq < to, which must have happened. */
  events(auctionId: AuctionId, from: number, to: number): readonly PublicEvent[] {
    return this.history.read(auctionId, from, to)
  }

  #gatherAll(): void {
    for (const { kind, key, value } of takeDirty(this.state)) {
      const bytes = value === undefined ? undefined : pack(value)
      this.checkpointer.gather(`${kind} ${key}`, [rowName(rowKindCodes[kind], key), bytes])
    }
  }

  #moveTo({ index, term, data }: Entry): void {
    this.#appliedIndex = index
    this.#appliedTerm = term
    this.#bytesSinceCheckpoint += data.length
  }
}

function* machineRows(store: Store, groupId: GroupId, onProgress: LoadOptions['onProgress']): Generator<Row> {
  let count = 0
  for (const [name, bytes] of loadRows(store, groupId)) {
    const [code, key] = partsOfRowName(name)
    const kind = kindsByCode.get(code)
    if (kind === undefined) throw corrupt('row of the state', `its kind ${code} is unknown`)
    yield { kind, key, value: unpack(bytes) as Row['value'] }
    count += 1
    if (count % progressEvery === 0) onProgress?.(count)
  }
  onProgress?.(count)
}
