/**
 * The very first command of a group: whoever leads a group that has applied none switches on all that its build
 * knows, so that a new house behaves as its version says, and one that exists as it always did (HOUSE3).
 *
 *   leads, not ready ──► commands wait here ──ready, nothing applied──► features, then those commands
 *                                           ──something was applied───► those commands alone, and it is over
 *
 * Invariant: in a log that begins with this, no command stands before it. So a leader that dies in the middle leaves
 * either nothing, and the next one begins anew, or the whole. Leaves what features are to the machine.
 */
import type { Command } from '../machine/commands.ts'
import type { Reply } from '../machine/events.ts'
import { knownFeatures } from '../machine/features.ts'
import type { Replica } from './replica.ts'

export class FirstFeatures {
  readonly #replica: Replica
  readonly #endWatch: () => void
  /** Resolved when some command was applied here. */
  readonly #over: Promise<void>
  #end: (() => void) | undefined
  /** In which term this leader has asked. */
  #askedTerm = 0
  /** What commands wait for that came to a leader that does not know yet what was before it. */
  #gate: { readonly opened: Promise<void>; readonly open: () => void } | undefined

  /** For a replica that was not started yet. */
  constructor(replica: Replica) {
    this.#replica = replica
    this.#over = new Promise((resolve) => {
      this.#end = resolve
    })
    const look = (): void => this.#look()
    this.#endWatch = replica.watch({ batch: () => undefined, applied: look, gap: look, leader: look })
    this.#look()
  }

  /** As the replica's own; in a new group, behind the first command. */
  propose(command: Command): Promise<Reply> {
    this.#look()
    if (this.#end === undefined) return this.#replica.propose(command)
    const { isLeader, ready } = this.#replica.status()
    if (ready || !isLeader) return this.#replica.propose(command)
    return this.#untilReady().then(() => this.#replica.propose(command))
  }

  /** Resolves when the group is no new one any more. Rejects when the replica ends before. */
  async whenOver(): Promise<void> {
    await Promise.race([this.#over, this.#replica.whenReady().then(() => this.#asked)])
  }

  /** The first command, as long as it is under way here. */
  #asked: Promise<unknown> = Promise.resolve()

  #look(): void {
    if (this.#end === undefined) return
    const { isLeader, ready, term } = this.#replica.status()
    const { house } = this.#replica.applied.state
    if (house.lastAtMs > 0) {
      this.#endWatch()
      this.#end()
      this.#end = undefined
    } else if (ready && term !== this.#askedTerm) {
      this.#askedTerm = term
      const { settings } = house
      this.#asked = this.#replica.propose({ type: 'configure_house', settings, features: knownFeatures })
      // Whoever leads next finds the group as it is, and asks again where nothing was applied.
      this.#asked.catch(() => {
        this.#askedTerm = 0
      })
    }
    if (this.#end === undefined || ready || !isLeader) this.#openGate()
  }

  #untilReady(): Promise<void> {
    if (this.#gate === undefined) {
      let open = (): void => undefined
      const opened = new Promise<void>((resolve) => {
        open = resolve
      })
      this.#gate = { opened, open }
      // A replica that ends tells nobody else.
      this.#replica.whenReady().catch(() => this.#openGate())
    }
    return this.#gate.opened
  }

  #openGate(): void {
    this.#gate?.open()
    this.#gate = undefined
  }
}
