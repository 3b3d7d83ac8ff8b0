/**
 * Writes what Raft hands out, in its order: entries, hard state and snapshots.
 *
 *   MsgStorageAppend ─► store ─► its responses
 *        └─ with a snapshot ─► one commit: log replaced ─► rows to their places ─► the new state ─► its responses
 *
 * A snapshot replaces log and state. Invariant: the responses of an append leave only when it, and every append
 * before it, is durable; while a snapshot is installed, later appends wait. The replica decides when a MsgSnap may be
 * stepped; the `SnapshotInstaller` knows what a snapshot's state is.
 * Source: docs/raft.md, the caller's duties 1 to 4; docs/spec.md STORE1, STORE5, SNAP2.
 */
import type { HardState, Message, Snapshot } from '../raft/index.ts'
import type { DiskLog, LogAppend, LogPosition } from '../storage/disk-log.ts'
import type { Store, StoreWrite } from '../storage/store.ts'

/** By how much the commit index in the row of the hard state may lag behind that beside the entries. */
export const rowLagMax = 64

/** What a snapshot brings beside the log: the state whose rows have arrived before it. */
export interface SnapshotInstaller<Installed> {
  /** What has to be committed together with the new log. Throws where the rows are not here. */
  begin(snapshot: Snapshot): { readonly position: LogPosition; readonly writes: readonly StoreWrite[] }
  /** Moves the rows to their places and loads the state, once that commit is durable. */
  finish(): Promise<Installed>
}

export interface LogWriterOptions<Installed> {
  readonly store: Store
  readonly log: DiskLog
  readonly installer: SnapshotInstaller<Installed>
  /** These responses may leave now. */
  readonly written: (responses: readonly Message[]) => void
  /** A snapshot has replaced log and state. */
  readonly installed: (installed: Installed) => void
  /** Runs what follows a write; what it throws ends the replica. */
  readonly run: (work: () => void) => void
  readonly failed: (error: unknown) => void
}

export class LogWriter<Installed> {
  readonly #options: LogWriterOptions<Installed>
  /** The hard state that Raft has handed out last: an append has to make it durable. */
  #known: HardState
  /** The hard state that was last given to the store. */
  #given: HardState
  #isInstalling = false
  /** Appends that came while a snapshot is installed. */
  readonly #held: Message[] = []

  constructor(options: LogWriterOptions<Installed>) {
    this.#options = options
    this.#known = options.log.initialState().hardState
    this.#given = this.#known
  }

  /** A snapshot is being installed: the state is neither the old one nor yet the new one. */
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
    const known = this.#known
    const append: LogAppend = isDue
      ? { entries, commit: known.commit, hardState: known }
      : { entries, commit: known.commit }
    if (isDue) this.#given = known
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
   * Whether the row of the hard state has to be written now. Term and vote always, once changed. The commit index is
   * kept beside the next entries: a node that has change k + 1 in its log must know after a crash that change k is
   * committed, or it campaigns with a configuration that is two changes old. Alone it is not worth a sync: a node that
   * restarts with an older one learns the newer one from the leader. The row follows now and then, so that a log
   * whose end is lost is not taken for a shorter one.
   */
  #isDue(hasEntries: boolean): boolean {
    const { term, vote, commit } = this.#known
    if (term !== this.#given.term || vote !== this.#given.vote) return true
    return hasEntries && commit >= this.#given.commit + rowLagMax
  }

  /** Installs a snapshot, then writes its append and those that came meanwhile. */
  async #install(message: Message): Promise<void> {
    const { installed, run, failed } = this.#options
    this.#isInstalling = true
    try {
      const state = await this.#replaceState(message)
      this.#isInstalling = false
      run(() => {
        installed(state)
        this.append({ ...message, snapshot: null })
        for (const held of this.#held.splice(0)) this.append(held)
      })
    } catch (error) {
      this.#isInstalling = false
      failed(error)
    }
  }

  async #replaceState({ snapshot, term, vote, commit }: Message): Promise<Installed> {
    const { store, log, installer } = this.#options
    const { position, writes } = installer.begin(snapshot as Snapshot)
    const latest = term > 0 ? { term, vote, commit } : this.#known
    const hardState = { ...latest, commit: Math.max(latest.commit, position.index) }
    this.#known = hardState
    this.#given = hardState
    const append: LogAppend = { entries: [], commit: hardState.commit, hardState }
    await store.commit([...log.writesOfReplacement(position), ...log.writesOf(append), ...writes])
    log.replaced(position)
    log.settle(append)
    return await installer.finish()
  }
}
