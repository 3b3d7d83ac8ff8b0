/**
 * Registered buyers, and the index from tags to interested buyers.
 *
 * Leaves the checks of a registration to handlers/register-buyer.ts, and pages to views.ts.
 *
 * Invariant: a buyer is in the set of each of its interests and in no other.
 * Source: docs/spec.md BUYER1, BUYER2.
 */
import type { SubjectId } from '../../protocol/ids.ts'
import { type Changes, type RowKind, Stored } from './changes.ts'
import type { Plain } from './plain.ts'
import type { Tags } from './tags.ts'

/*
 * buyer  key: buyer id   value: [name, [interest …], endpoint | null, last request a, b]
 */

export class Buyer extends Stored {
  readonly id: SubjectId
  name: string
  interests: readonly string[]
  endpoint: string | undefined
  /** The request that registered it last (last-requests.ts). */
  requestA = 0
  requestB = 0

  constructor(id: SubjectId, name: string, interests: readonly string[], endpoint: string | undefined) {
    super()
    this.id = id
    this.name = name
    this.interests = interests
    this.endpoint = endpoint
  }

  rowKind(): RowKind {
    return 'buyer'
  }

  rowKey(): string {
    return this.id
  }

  rowValue(): readonly Plain[] {
    return [this.name, this.interests, this.endpoint ?? null, this.requestA, this.requestB]
  }
}

export class Buyers {
  private readonly byId = new Map<SubjectId, Buyer>()
  private readonly changes: Changes
  private readonly tags: Tags

  constructor(changes: Changes, tags: Tags) {
    this.changes = changes
    this.tags = tags
  }

  get size(): number {
    return this.byId.size
  }

  get(id: SubjectId): Buyer | undefined {
    return this.byId.get(id)
  }

  add(buyer: Buyer): void {
    this.index(buyer)
    this.changes.touch(buyer)
  }

  load(buyer: Buyer): void {
    this.index(buyer)
    this.changes.load(buyer)
  }

  replace(buyer: Buyer, name: string, interests: readonly string[], endpoint: string | undefined): void {
    for (const tag of buyer.interests) this.tags.removeBuyer(tag, buyer.id)
    buyer.name = name
    buyer.interests = interests
    buyer.endpoint = endpoint
    for (const tag of interests) this.tags.addBuyer(tag, buyer.id)
    this.changes.touch(buyer)
  }

  sorted(): Buyer[] {
    return [...this.byId.values()].sort((x, y) => (x.id < y.id ? -1 : 1))
  }

  private index(buyer: Buyer): void {
    this.byId.set(buyer.id, buyer)
    for (const tag of buyer.interests) this.tags.addBuyer(tag, buyer.id)
  }
}
