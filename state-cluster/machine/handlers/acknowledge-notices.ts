/**
 * acknowledge_notices: the owner has published its notices up to a position; they leave the outbox.
 * Replies: done · stale_epoch. Events: none. Rules OUTBOX3–OUTBOX4.
 */
import type { AcknowledgeNotices } from '../commands.ts'
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
