/**
 * The machine's state as far as the log is applied, with its checkpoints and history.
 *
 * Invariant: `state` is the outcome of the checkpoint's rows and every entry after it up to `appliedIndex`, each
 * once and in order; what is read (views, history) is exactly as of that index. Raft decides order and commitment of
 * entries, the replica when a checkpoint begins.
 */

import type { AuctionId, GroupId } from '../../protocol/ids.ts'
import type { Timing } from '../../wire/timing.ts'
import type { MachineEntry } from '../machine/commands.ts'
import { type Applied, isPublic, type PublicEvent } from '../machine/events.ts'
import { FeatureUnknownError } from '../machine/features.ts'
import {
  apply,
  decodeEntry,
  decodeHistory,
  dirtyCount,
  encodeHistory,
  newGroupState,
  type Row,
  type RowKind,
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

/** The state machine of a replica. The simulator wraps the real one, to watch it and to plant faults. */
export interface Machine {
  /** `index` is the entry's index in the log; the machine itself does not know it. */
  apply(state: State, entry: MachineEntry, index: number): Applied
  /** The state of a checkpoint's rows, in steps between which others have their turns. */
  restoring(rows: Iterable<Row>): Generator<unknown, State>
  stateHash(state: State): string
}

export const auctionMachine: Machine = {
  apply,
  restoring: (rows) => restoring(rows),
  stateHash,
}

interface LoadedState {
  readonly store: Store
  readonly groupId: GroupId
  readonly machine: Machine
  readonly state: State
}

export interface LoadOptions {
  readonly store: Store
  readonly groupId: GroupId
  /** Default the real one. */
  readonly machine?: Machine | undefined
  /** Between two steps of the load, others have their turns. */
  readonly afterTurn: Timing['afterTurn']
  /** Rows loaded so far. */
  readonly onProgress?: (rows: number) => void
}

/**
 * The first checkpoint of a new group, which all its members begin with: the features of the build are on in it
 * (HOUSE3). Default state: that of `newGroupState`.
 */
export function writesOfNewState(
  groupId: GroupId,
  position: LogPosition,
  state: State = newGroupState(),
): StoreWrite[] {
  const rows = takeDirty(state).flatMap(({ kind, key, value }) =>
    value === undefined ? [] : [[rowName(rowKindCodes[kind], key), pack(value)] as const],
  )
  return writesOfFirstCheckpoint(groupId, { ...position, stateHash: stateHash(state) }, rows)
}

const kindsByCode = new Map<number, RowKind>(
  Object.entries(rowKindCodes).map(([kind, code]) => [code, kind as RowKind]),
)

/** An entry of the log that the machine cannot apply: the state is not to be used any more. */
export class EntryError extends Error {
  override readonly name = 'EntryError'
  /** `feature_unknown` where an upgrade helps, else `entry_not_applied`. */
  readonly code: 'feature_unknown' | 'entry_not_applied'
  readonly retryable = false
  readonly index: number
  readonly term: number

  constructor({ index, term }: Entry, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause)
    super(
      `entry ${index} of term ${term} cannot be applied: ${why} (if an upgrade does not help, and every node stops ` +
        `here: martillo state drop-entry, on each of them)`,
      { cause },
    )
    this.code = cause instanceof FeatureUnknownError ? cause.code : 'entry_not_applied'
    this.index = index
    this.term = term
  }
}

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

  private constructor({ store, groupId, machine, state }: LoadedState) {
    this.#machine = machine
    this.checkpointer = new Checkpointer(store, groupId)
    const position = this.checkpointer.position
    this.state = state
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
   * Loads the checkpoint, in steps that each have a turn of their own; nobody else may write rows of the group
   * meanwhile. Rejects with StoreError `corrupt` where a row is damaged or the state has another hash.
   */
  static async open(options: LoadOptions): Promise<AppliedState> {
    const { store, groupId, machine = auctionMachine, afterTurn, onProgress } = options
    const steps = machine.restoring(machineRows(store, groupId, onProgress))
    for (;;) {
      const step = steps.next()
      if (step.done === true) return new AppliedState({ store, groupId, machine, state: step.value })
      await new Promise<void>((resolve) => afterTurn(resolve))
    }
  }

  get appliedIndex(): number {
    return this.#appliedIndex
  }

  /** The position of a checkpoint of the state as it is now. */
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

  /** Applies the next entry of the log that carries commands. Throws EntryError. */
  apply(entry: Entry): Applied {
    const applied = this.#compute(entry)
    for (const event of applied.events) if (isPublic(event)) this.history.add(event)
    this.#moveTo(entry)
    return applied
  }

  #compute(entry: Entry): Applied {
    try {
      return this.#machine.apply(this.state, decodeEntry(unpack(entry.data)), entry.index)
    } catch (error) {
      throw new EntryError(entry, error)
    }
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
      const code = rowKindCodes[kind]
      this.checkpointer.gather(code, key, [rowName(code, key), bytes])
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
