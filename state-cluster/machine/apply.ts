/**
 * The trunk of the auction machine: applies one committed entry to the state.
 *
 * It answers each command in order, and makes a repeated request count once. Leaves the rules of a command to its file
 * in handlers/, whose header lists replies, events and outbox entries.
 *
 * Invariant: the result depends on the state and the entry alone, so replicas that applied the same entries are equal.
 * Source: docs/spec.md ENTRY1–ENTRY3, REQUEST1, REQUEST2, REQUEST5–REQUEST8; docs/design.md "Two pure cores and one shell".
 */
import { ApplyContext } from './apply-context.ts'
import { fail } from './assert.ts'
import { contentOf } from './codec.ts'
import { type Command, commandCodes, type MachineEntry } from './commands.ts'
import type { Applied, Reply } from './events.ts'
import { acknowledgePositions } from './handlers/acknowledge-positions.ts'
import { acquireMonitorLease } from './handlers/acquire-monitor-lease.ts'
import { buyNow } from './handlers/buy-now.ts'
import { cancelAuction } from './handlers/cancel-auction.ts'
import { closeAuction } from './handlers/close-auction.ts'
import { conduct } from './handlers/conduct.ts'
import { configureHouse } from './handlers/configure-house.ts'
import { createAuction } from './handlers/create-auction.ts'
import { enlistServer } from './handlers/enlist-server.ts'
import { extendAuction } from './handlers/extend-auction.ts'
import { pauseAuction } from './handlers/pause-auction.ts'
import { placeBid } from './handlers/place-bid.ts'
import { reassign } from './handlers/reassign.ts'
import { refuse } from './handlers/refuse.ts'
import { registerBuyer } from './handlers/register-buyer.ts'
import { releaseServer } from './handlers/release-server.ts'
import { resumeAuction } from './handlers/resume-auction.ts'
import { revokeTokens } from './handlers/revoke-tokens.ts'
import { shiftClock } from './handlers/shift-clock.ts'
import { keyOf, lastReply, mayBeForgotten, noteLast } from './last-requests.ts'
import { stampMsMax } from './limits.ts'
import { hashPlain } from './plain.ts'
import { mayTurn } from './refusals.ts'
import { idHash } from './request-memory.ts'
import type { State } from './state.ts'

/** The entry version that this build writes, and the only one that it reads. */
export const entryVersion = 1

/** An entry forgets at most this many expired requests, and two more for each command. */
const expiryPerEntry = 64

/**
 * Applies one entry and changes `state`. Replies are in order of the commands, events in order of happening.
 * Throws `InvariantError` for an unknown version, feature or command and for a stamp before the last one:
 * the state must not be used after that.
 */
export function apply(state: State, entry: MachineEntry): Applied {
  const { atMs, commands } = entry
  const { house } = state
  if (entry.version !== entryVersion) fail('the entry version is known', { version: entry.version })
  if (!Number.isSafeInteger(atMs) || atMs < house.lastAtMs || atMs > stampMsMax)
    fail('the stamps of entries never fall and are dates', { atMs, lastAtMs: house.lastAtMs })
  house.lastAtMs = atMs
  const context = new ApplyContext(state, atMs)
  const replies: Reply[] = []
  for (const command of commands) replies.push(answer(context, command))
  state.requests.expire(context.atMs, expiryPerEntry + 2 * commands.length)
  state.refusals.expire(context.atMs, expiryPerEntry + 2 * commands.length)
  state.servers.dropIdle((id) => state.outbox.lengthOf(id))
  state.changes.touch(house)
  state.changes.endEntry()
  return { replies, events: context.events, outboxCount: context.outboxCount, gained: context.gained }
}

/** Commands with a request id count once. The others carry an epoch, or may be repeated without harm. */
function answer(context: ApplyContext, command: Command): Reply {
  if (!('requestId' in command)) return run(context, command)
  const { requests, refusals } = context.state
  const { subject, requestId } = command
  const { atMs } = context
  const id = idHash(requestId)
  const digest = hashPlain(commandCodes[command.type], contentOf(command))
  const known = requests.find(command, id.a, atMs) ?? refusals.find(command, id.a, atMs)
  if (known !== undefined)
    return known.digestA === digest.a && known.digestB === digest.b
      ? known.reply
      : refuse('duplicate_request_differs')
  const key = keyOf(command, digest, id)
  const last = lastReply(context.state, command, key)
  if (last !== undefined) return last
  if (mayBeForgotten(context, command)) return refuse('outcome_unknown')
  const reply = run(context, command)
  if (reply.ok) {
    noteLast(context.state, command, key, reply)
    requests.remember({ subject, requestId, digest, atMs, reply })
  } else if (mayTurn(reply.code)) refusals.remember({ subject, requestId, digest, atMs, reply })
  return reply
}

function run(context: ApplyContext, command: Command): Reply {
  switch (command.type) {
    case 'place_bid':
      return placeBid(context, command)
    case 'conduct':
      return conduct(context, command)
    case 'create_auction':
      return createAuction(context, command)
    case 'register_buyer':
      return registerBuyer(context, command)
    case 'buy_now':
      return buyNow(context, command)
    case 'close_auction':
      return closeAuction(context, command)
    case 'cancel_auction':
      return cancelAuction(context, command)
    case 'pause_auction':
      return pauseAuction(context, command)
    case 'resume_auction':
      return resumeAuction(context, command)
    case 'extend_auction':
      return extendAuction(context, command)
    case 'configure_house':
      return configureHouse(context, command)
    case 'revoke_tokens':
      return revokeTokens(context, command)
    case 'enlist_server':
      return enlistServer(context, command)
    case 'release_server':
      return releaseServer(context, command)
    case 'acquire_monitor_lease':
      return acquireMonitorLease(context, command)
    case 'reassign':
      return reassign(context, command)
    case 'acknowledge_positions':
      return acknowledgePositions(context, command)
    case 'shift_clock':
      return shiftClock(context, command)
    default:
      return fail('the command is known', { type: (command satisfies never as Command).type })
  }
}
