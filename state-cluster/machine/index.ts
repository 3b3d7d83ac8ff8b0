/**
 * The exports of the auction machine, for the replica, the link and the simulator.
 *
 *   state = emptyState(), or the result of restoring(rows)     apply(state, entry) → replies, events
 *   takeDirty(state) → rows to store                           stateHash(state) → 16 hexadecimal digits
 *
 * Leaves the log, the disk and the clock to its callers.
 *
 * Invariant: nothing that is exported here reads a clock, draws a random number or does I/O.
 * Source: docs/design.md "Two pure cores and one shell"; docs/style.md "Purity".
 */
export { encodeForLog } from './admission.ts'
export { apply, entryVersion } from './apply.ts'
export { type Row, type RowKind, rowKindCodes } from './changes.ts'
export { decodeCommand, decodeEntry, type EntryTuple, encodeCommand, encodeEntry } from './codec.ts'
export { type Deadline, deadlinesOf } from './deadlines.ts'
export { decodeEvent, decodeHistory, encodeEvent, encodeHistory } from './event-codec.ts'
export { type Plain, packedSizeMax } from './plain.ts'
export { CodecError } from './plain-reader.ts'
export { decodeReply, encodeReply } from './reply-codec.ts'
export { restoring } from './restore.ts'
export { dirtyCount, emptyState, newGroupState, rows, type State, stateHash, takeDirty } from './state.ts'
export {
  auctionPage,
  auctionView,
  biddersPage,
  buyerView,
  houseView,
  interestedBuyers,
  outboxPage,
  ownersView,
  standingOf,
  stats,
} from './views.ts'
