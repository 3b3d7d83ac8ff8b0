/**
 * Names the servers that have a new deadline after an entry.
 *
 * So no server reads an auction to learn who owns it. Leaves the timers to the server's conductor.
 *
 * Invariant: a server is named once, with the earliest close that the entry's events gave to one of its auctions; the
 * owner is the one in the state after the entry.
 * Source: docs/spec.md CONDUCT3.
 */
import type { ServerId } from '../../protocol/ids.ts'
import type { PrivateEvent, PublicEvent } from './events.ts'
import type { State } from './state.ts'

/** An auction of this server closes at `atMs`, by the stamps of the log. */
export interface Deadline {
  readonly serverId: ServerId
  readonly atMs: number
}

/** Shared by all entries that move no deadline: nearly all. */
const none: readonly Deadline[] = []

/** `events`: those of the entry that was applied last. */
export function deadlinesOf(
  state: State,
  events: readonly (PublicEvent | PrivateEvent)[],
): readonly Deadline[] {
  let earliest: Map<ServerId, number> | undefined
  for (const event of events) {
    if (!('closesAt' in event)) continue
    const serverId = state.auctions.get(event.auctionId)?.owner.id
    if (serverId === undefined) continue
    earliest ??= new Map()
    earliest.set(serverId, Math.min(event.closesAt, earliest.get(serverId) ?? event.closesAt))
  }
  return earliest === undefined ? none : [...earliest].map(([serverId, atMs]) => ({ serverId, atMs }))
}
