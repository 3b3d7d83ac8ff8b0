/**
 * A set of strings that removes its oldest member when it is full.
 * Invariant: never more than `max` members; adding a member again makes it the youngest.
 */
export class BoundedSet {
  readonly #members = new Set<string>()
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }

  add(member: string): void {
    this.#members.delete(member)
    this.#members.add(member)
    if (this.#members.size <= this.#max) return
    const [oldest] = this.#members
    if (oldest !== undefined) this.#members.delete(oldest)
  }

  delete(member: string): void {
    this.#members.delete(member)
  }

  has(member: string): boolean {
    return this.#members.has(member)
  }

  get size(): number {
    return this.#members.size
  }
}
