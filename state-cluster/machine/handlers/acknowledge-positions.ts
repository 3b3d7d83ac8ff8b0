/**
 * acknowledge_positions: removes the outbox entries that their owner has published.
 *
 * Input: server, its epoch, and positions in rising order. Replies: done · stale_epoch. Events: none. A position that
 * the owner does not have is passed over, so a repeated command changes nothing. Leaves publishing to the server.
 *
 * Invariant: an entry leaves only by its own position; entries between the named ones stay.
 * Source: docs/spec.md OWNER1, OUTBOX3, OUTBOX5.
 */
import type { ApplyContext } from '../apply-context.ts'
import type { AcknowledgePositions } from '../commands.ts'
import type { Reply } from '../events.ts'
import { refuse } from './refuse.ts'

export function acknowledgePositions(context: ApplyContext, command: AcknowledgePositions): Reply {
  const { outbox, servers } = context.state
  const server = servers.get(command.serverId)
  if (server === undefined || server.epoch !== command.epoch) return refuse('stale_epoch')
  outbox.acknowledge(server.id, command.positions)
  return { ok: true, type: 'done' }
}
