/**
 * acknowledge_notices: the owner has published its notices up to a position; they leave the outbox.
 * acknowledge_positions: it has published exactly these. Notices that came to it from another server meanwhile
 * may lie between them and stay. Replies: done · stale_epoch. Events: none. Rules OUTBOX3, OUTBOX5.
 */
import type { AcknowledgeNotices, AcknowledgePositions } from '../commands.ts'
import type { Reply } from '../events.ts'
import type { Turn } from '../turn.ts'
import { refuse } from './refuse.ts'

export function acknowledgeNotices(turn: Turn, command: AcknowledgeNotices): Reply {
  const { outbox, servers } = turn.state
  const server = servers.get(command.serverId)
  if (server === undefined || server.epoch !== command.epoch) return refuse('stale_epoch')
  outbox.acknowledge(server.id, command.upTo)
  return { ok: true, type: 'done' }
}

export function acknowledgePositions(turn: Turn, command: AcknowledgePositions): Reply {
  const { outbox, servers } = turn.state
  const server = servers.get(command.serverId)
  if (server === undefined || server.epoch !== command.epoch) return refuse('stale_epoch')
  outbox.acknowledgeEach(server.id, command.positions)
  return { ok: true, type: 'done' }
}
