/**
 * What became of each command that an episode's leaders have taken.
 *
 * Invariant: a command that was answered with a reply is applied; one that was refused as not proposed never is, on
 * any node; every promise of a node that lives settles once. Source: docs/spec.md STORE10.
 */
import { Violation } from '../../raft/fuzz/violation.ts'

type Fate = 'open' | 'replied' | 'refused' | 'unknown' | 'lost'

export class CommandBook {
  readonly #fates = new Map<number, { fate: Fate; readonly node: number }>()
  readonly #applied = new Set<number>()
  /** A violation that was found where none can be thrown: in a promise's callback. */
  #found: Violation | null = null

  proposed(number: number, node: number): void {
    this.#fates.set(number, { fate: 'open', node })
  }

  applied(number: number): void {
    this.#applied.add(number)
    if (this.#fates.get(number)?.fate === 'refused') this.#mustNotBeApplied(number)
    if (this.#found !== null) throw this.#found
  }

  replied(number: number, reply: number): void {
    this.#settle(number, 'replied')
    if (reply === number && this.#applied.has(number)) return
    this.#found ??= new Violation(
      'promises settle',
      `command ${number} was answered ${reply} and is not applied`,
    )
  }

  refused(number: number, code: string): void {
    this.#settle(number, code === 'unknown' ? 'unknown' : 'refused')
    if (code !== 'unknown' && this.#applied.has(number)) this.#mustNotBeApplied(number)
  }

  /** The process of a node has ended: its callers get no answer. */
  crashed(node: number): void {
    for (const entry of this.#fates.values())
      if (entry.node === node && entry.fate === 'open') entry.fate = 'lost'
  }

  openOf(node: number): number {
    if (this.#found !== null) throw this.#found
    let open = 0
    for (const entry of this.#fates.values()) if (entry.node === node && entry.fate === 'open') open += 1
    return open
  }

  #settle(number: number, fate: Fate): void {
    const entry = this.#fates.get(number)
    if (entry?.fate === 'open') entry.fate = fate
    else if (entry?.fate !== 'lost') {
      this.#found ??= new Violation('promises settle', `command ${number} settled twice`)
    }
  }

  #mustNotBeApplied(number: number): void {
    this.#found ??= new Violation(
      'promises settle',
      `command ${number} was refused as not proposed, and is applied`,
    )
  }
}
