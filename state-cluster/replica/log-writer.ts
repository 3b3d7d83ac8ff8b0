/**
 * What Raft wants written, in its order: entries, term and vote, and snapshots that take the place of everything.
 *
 *   MsgStorageAppend ─► store ─► its responses
 *        └─ with a snapshot ─► one commit: log replaced ─► rows to their places ─► the new state ─► its responses
 *
 * Invariant: the responses of an append leave when it, and all before it, are durable; while a snapshot is installed,
 * later appends wait. Leaves what comes in, and when a MsgSnap may be stepped, to the replica and to snapshots.ts.
 * Source: docs/raft.md, the caller's duties 1 to 4; docs/spec.md STORE1, STORE5, SNAP2.
 */
import type { GroupId } from '../../protocol/ids.ts'
import type { Timing } from '../../wire/timing.ts'
import type { HardState, Message } from '../raft/index.ts'
import type { DiskLog, LogAppend } from '../storage/disk-log.ts'
import { finishInstall, writeOfInstalling } from '../storage/incoming-snapshot.ts'
import { type Members, writeOfMembers } from '../storage/member-record.ts'
import type { Store } from '../storage/store.ts'
import { AppliedState, type Machine } from './applied-state.ts'
import { headOf, type SnapshotTransfers } from './snapshot-transfer.ts'

export interface LogWriterOptions {
  readonly store: Store
  readonly groupId: GroupId
  readonly log: DiskLog
  readonly transfers: SnapshotTransfers
  readonly machine: Machine | undefined
  readonly afterTurn: Timing['afterTurn']
  /** These may leave now. */
  readonly written: (responses: readonly Message[]) => void
  /** A snapshot has taken the place of log and state. */
  readonly installed: (applied: AppliedState, members: Members) => void
  /** Runs what the end of a write brings; what it throws ends the replica. */
  readonly run: (work: () => void) => void
  readonly failed: (error: unknown) => void
}

export class LogWriter {
  readonly #options: LogWriterOptions
  /** What Raft has handed out last: what an append has to make durable. */
  #known: HardState
  /** What was last given to the store. */
  #given: HardState
  #isInstalling = false
  /** What came while a snapshot is installed. */
  readonly #held: Message[] = []

  constructor(options: LogWriterOptions) {
    this.#options = options
    this.#known = options.log.initialState().hardState
    this.#given = this.#known
  }

  /** A snapshot is being taken over: the state is neither the old one nor yet the new one. */
  get isInstalling(): boolean {
    return this.#isInstalling
  }

  /** Takes a MsgStorageAppend. */
  append(message: Message): void {
    if (this.#isInstalling) this.#held.push(message)
    else if (message.snapshot !== null) void this.#install(message)
    else this.#write(message)
  }

  #write({ entries, term, vote, commit, responses }: Message): void {
    const { store, log, written, run, failed } = this.#options
    // Raft leaves all three 0 where none has changed.
    if (term > 0) this.#known = { term, vote, commit }
    const isDue = this.#isDue(entries.length > 0)
    if (entries.length === 0 && !isDue && responses.length === 0) return
    const append: LogAppend = isDue ? { entries, hardState: this.#known } : { entries }
    if (isDue) this.#given = this.#known
    store.commit(log.writesOf(append)).then(
      () =>
        run(() => {
          log.settle(append)
          written(responses)
        }),
      failed,
    )
  }

  /**
   * Whether the hard state has to be written now. Term and vote always, once changed. A commit index goes with the
   * next entries: a node that has change k + 1 in its log must know after a crash that change k is committed, or it
   * campaigns with a configuration that is two changes old. Alone it is not worth a sync: a node that restarts with
   * an older one learns the newer one from the leader.
   */
  #isDue(hasEntries: boolean): boolean {
    const { term, vote, commit } = this.#known
    if (term !== this.#given.term || vote !== this.#given.vote) return true
    return hasEntries && commit !== this.#given.commit
  }

  /** The append of a snapshot, and those that come after it. */
  async #install(message: Message): Promise<void> {
    const { transfers, installed, run, failed } = this.#options
    this.#isInstalling = true
    try {
      const { applied, members } = await this.#replaceState(message)
      this.#isInstalling = false
      transfers.done()
      run(() => {
        installed(applied, members)
        this.append({ ...message, snapshot: null })
        for (const held of this.#held.splice(0)) this.append(held)
      })
    } catch (error) {
      this.#isInstalling = false
      failed(error)
    }
  }

  async #replaceState({ snapshot, term, vote, commit }: Message): Promise<{
    applied: AppliedState
    members: Members
  }> {
    const { store, groupId, log, transfers, machine, afterTurn } = this.#options
    if (snapshot === null || !transfers.hasArrived) throw new Error('a snapshot without its rows')
    const { position, members } = headOf(snapshot)
    const latest = term > 0 ? { term, vote, commit } : this.#known
    const hardState = { ...latest, commit: Math.max(latest.commit, position.index) }
    this.#known = hardState
    this.#given = hardState
    const append: LogAppend = { entries: [], hardState }
    await store.commit([
      ...log.writesOfReplacement(position),
      ...log.writesOf(append),
      writeOfMembers(groupId, members),
      writeOfInstalling(groupId, position),
    ])
    log.replaced(position)
    log.settle(append)
    await finishInstall(store, groupId)
    // By turns: the group's ticks, the other groups and every connection of the process go on meanwhile.
    return { applied: await AppliedState.byTurns({ store, groupId, machine }, afterTurn), members }
  }
}
