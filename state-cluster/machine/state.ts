/**
 * The replicated state of one group: all that `apply` reads and writes.
 *
 * Indexes, heaps and queues are derived from rows. Leaves rows to changes.ts, bounds to limits.ts, and reads to views.ts.
 *
 * Invariant: two states built from the same entries, or restored from the same rows, behave the same for ever and have
 * equal hashes.
 * Source: docs/spec.md HASH1, HASH2, HOUSE3.
 */
import { Auctions } from './auctions.ts'
import { Buyers } from './buyers.ts'
import { Changes, type Row, type RowChange, type Stored } from './changes.ts'
import { knownFeatures, requireKnown } from './features.ts'
import { House } from './group-facts.ts'
import { Interned } from './interned.ts'
import { type Limits, limits as productionLimits } from './limits.ts'
import { MonitorLease } from './monitor-lease.ts'
import { Outbox } from './outbox.ts'
import { RequestMemory } from './request-memory.ts'
import { Servers } from './servers.ts'
import { Tags } from './tags.ts'

export interface State {
  readonly limits: Limits
  readonly changes: Changes
  readonly house: House
  readonly servers: Servers
  readonly tags: Tags
  readonly buyers: Buyers
  readonly auctions: Auctions
  /** Requests that were accepted … */
  readonly requests: RequestMemory
  /** … and some that were refused. */
  readonly refusals: RequestMemory
  readonly outbox: Outbox
  readonly lease: MonitorLease
  /** Memory only: equal strings and tables are kept once. */
  readonly interned: Interned
}

/** A state in which nothing has happened and no row exists. All replicas of a group need the same limits. */
export function emptyState(limits: Limits = productionLimits): State {
  const changes = new Changes()
  const house = new House()
  const tags = new Tags()
  return {
    limits,
    changes,
    house,
    servers: new Servers(changes, house, limits),
    tags,
    buyers: new Buyers(changes, tags),
    auctions: new Auctions(changes, tags),
    requests: new RequestMemory(changes, house, limits),
    refusals: new RequestMemory(changes, house, limits, 'refusals'),
    outbox: new Outbox(changes, house, limits),
    lease: new MonitorLease(),
    interned: new Interned(),
  }
}

/**
 * The state of a new group, before its first entry: the features of its build are on (HOUSE3). All replicas of a
 * group need the same ones. Its first checkpoint holds what `takeDirty` gives: no row while there is no feature.
 */
export function newGroupState(features: readonly number[] = knownFeatures, limits?: Limits): State {
  requireKnown(features)
  const state = emptyState(limits)
  if (features.length === 0) return state
  state.house.features = [...new Set(features)].sort((x, y) => x - y)
  state.changes.touch(state.house)
  return state
}

/** Rows that changed since the last call (or since `restore`), each once; a value of `undefined`: deleted. */
export function takeDirty(state: State): RowChange[] {
  return state.changes.take()
}

/** How many rows `takeDirty` would give, or a few more. O(1). */
export function dirtyCount(state: State): number {
  return state.changes.count
}

/**
 * 16 hexadecimal digits: states with equal rows have equal ones, whatever their history. Costs O(rows changed
 * since the last call of this or of `takeDirty`).
 */
export function stateHash(state: State): string {
  return state.changes.hash()
}

/** All rows in canonical order: house, lease, servers, buyers, then each auction by age with its bidders, then blocks. */
export function* rows(state: State): Generator<Row> {
  if (state.house.flags !== 0) yield rowOf(state.house)
  if (state.lease.token > 0) yield rowOf(state.lease)
  for (const server of state.servers.sorted()) yield rowOf(server)
  for (const buyer of state.buyers.sorted()) yield rowOf(buyer)
  for (const auction of state.auctions.all()) {
    yield rowOf(auction.terms)
    yield rowOf(auction)
    for (const bidder of auction.bidders) yield rowOf(bidder)
  }
  for (const block of state.requests.blocks()) yield rowOf(block)
  for (const block of state.refusals.blocks()) yield rowOf(block)
  for (const block of state.outbox.blocks()) yield rowOf(block)
}

function rowOf(object: Stored): Row {
  return { kind: object.rowKind(), key: object.rowKey(), value: object.rowValue() }
}
