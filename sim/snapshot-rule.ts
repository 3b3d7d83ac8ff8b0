/**
 * A follower that has taken a snapshot needs no second one from the same leader.
 *
 * It holds where a leader may keep as much log as it likes for as long as it likes: then everything after the snapshot is
 * there until the follower has it, however slow that is and however many bids come meanwhile.
 * Invariant: two snapshots are compared only within one term of one leader and one life of the follower's process.
 * Source: docs/spec.md SNAP5.
 */
import type { Checks } from './checks.ts'
import { boundlessLog, type SimOptions } from './options.ts'

interface Transfer {
  /** The processes of the leader and of the follower, by name. */
  readonly from: string
  readonly to: string
  readonly term: number
}

export class SnapshotRule {
  readonly #checks: Checks
  readonly #isBoundless: boolean
  readonly #stored = new Set<string>()

  constructor(checks: Checks, { replica }: SimOptions) {
    this.#checks = checks
    this.#isBoundless =
      replica.logKeptBytesMax >= boundlessLog.logKeptBytesMax &&
      replica.memberSilenceMs >= boundlessLog.memberSilenceMs
  }

  begun(transfer: Transfer): void {
    const { from, to, term } = transfer
    this.#checks.hold(
      !this.#isBoundless || !this.#stored.has(nameOf(transfer)),
      'one snapshot is enough',
      () => `${from} sends ${to} another one in term ${term}`,
    )
  }

  stored(transfer: Transfer): void {
    this.#stored.add(nameOf(transfer))
  }
}

function nameOf({ from, to, term }: Transfer): string {
  return `${from} ${to} ${term}`
}
