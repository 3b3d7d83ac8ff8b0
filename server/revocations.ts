/**
 * Keeps the tokens of this server to what the house has revoked.
 *
 * It reads the revoked tokens from the replicated state several times a second, because they cause no event in a feed.
 * Left to others: refusing tokens (access/auth.ts), closing sessions (ws/gateway.ts), the command itself (http/).
 * Invariant: what was read stays in force while the cluster cannot be read. Source: docs/spec.md AUTH10, AUTH11.
 */
import type { CancelTimer, Clock } from '../runtime/clock.ts'
import { type Cluster, ClusterError, type RevokedTokens } from '../state-cluster/index.ts'
import type { Tokens } from './access/auth.ts'

export interface RevocationsOptions {
  readonly cluster: Pick<Cluster, 'groups' | 'house'>
  readonly clock: Clock
  readonly tokens: Tokens
  /** More tokens are revoked than before. */
  readonly changed: () => void
  /** Makes the operator's own token valid again. */
  readonly keepOperatorToken: () => Promise<void>
  readonly fault: (error: unknown, where: string) => void
}

/** A revocation holds on every server within a second: this, and how far a follower is behind. */
const lookEveryMs = 300

export class Revocations {
  readonly #options: RevocationsOptions
  #known = ''
  /** The operator's token is to be looked at. */
  #isTokenDue = false
  #cancelNext: CancelTimer = () => undefined
  #isClosed = false

  constructor(options: RevocationsOptions) {
    this.#options = options
  }

  /** Reads once; resolves when what was read is in force, or when nothing could be read. */
  async look(): Promise<void> {
    const { cluster, fault } = this.#options
    const [groupId] = cluster.groups
    if (groupId === undefined) return
    try {
      const { revoked } = await cluster.house(groupId)
      await this.#apply(revoked)
    } catch (error) {
      if (!(error instanceof ClusterError)) fault(error, 'revocations')
    }
  }

  /** Looks again and again until `close`. */
  start(): void {
    if (this.#isClosed) return
    this.#cancelNext = this.#options.clock.setTimer(lookEveryMs, () => {
      void this.look().then(() => this.start())
    })
  }

  close(): void {
    this.#isClosed = true
    this.#cancelNext()
  }

  async #apply(revoked: RevokedTokens): Promise<void> {
    const { clock, tokens, changed, keepOperatorToken } = this.#options
    const known = JSON.stringify(revoked)
    if (known !== this.#known) {
      this.#known = known
      tokens.revoke(revoked)
      changed()
      this.#isTokenDue = true
    }
    if (!this.#isTokenDue) return
    const madeMs = clock.nowMs()
    await keepOperatorToken()
    // One that is made at the very moment of a revocation, by this clock or the leader's, is revoked with it.
    const latestMs = Math.max(revoked.allUntilMs, ...revoked.subjects.map(([, untilMs]) => untilMs))
    this.#isTokenDue = madeMs <= latestMs
  }
}
