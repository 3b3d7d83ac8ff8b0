/**
 * reassign: the acting monitor found a server dead, or finds work with one that is gone. The server is fenced by a
 * new epoch, and a batch of what it owns goes to live servers; of that, what is near its close is extended by the
 * time since the server last conducted. Replies: reassigned · stale_epoch (not the acting monitor any more, or
 * another epoch of the server). Events: auction_extended (outage). Rules OWNER5–OWNER8, MONITOR3, OUTAGE6.
 */

import type { ApplyContext } from '../apply-context.ts'
import type { Reassign } from '../commands.ts'
import type { Reply } from '../events.ts'
import { handOver } from '../hand-over.ts'
import { refuse } from './refuse.ts'

export function reassign(context: ApplyContext, command: Reassign): Reply {
  const { lease, servers } = context.state
  if (!lease.isHeldBy(command.monitorId, command.token, context.atMs)) return refuse('stale_epoch')
  const server = servers.get(command.serverId)
  if (server === undefined) return refuse('stale_epoch')
  // The first command of several fences by the next epoch; the others still name the one before.
  const isMeant =
    server.epoch === command.epoch || (server.standing === 'dead' && server.epoch === command.epoch + 1)
  if (!isMeant) return refuse('stale_epoch')
  if (server.standing === 'live') {
    server.epoch++
    servers.setStanding(server, 'dead')
  }
  return handOver(context, server, context.atMs - server.lastConductedMs)
}
