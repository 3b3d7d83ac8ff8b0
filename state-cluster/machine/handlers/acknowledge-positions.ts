/**
 * acknowledge_positions: the owner has published exactly these entries of its outbox, and they leave it. Entries
 * that came to it from another server meanwhile may lie between them and stay. Invariant: an entry leaves only by
 * its own position. Replies: done · stale_epoch. Events: none. Rules OUTBOX3, OUTBOX5.
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
