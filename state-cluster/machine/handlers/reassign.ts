/**
 * reassign: fences a dead server and gives a batch of its auctions to live ones.
 *
 * Input: monitor, its lease's token, server, and the server's epoch as the monitor knew it. Replies: reassigned ·
 * stale_epoch (the monitor does not hold the lease, or the server has another epoch). Events: auction_extended
 * (outage). Leaves the moves to hand-over.ts and the detection of dead servers to the monitor.
 *
 * Invariant: a server is fenced in the same command that finds it dead, and one that enlisted since is left alone.
 * Source: docs/spec.md MONITOR3, OWNER7, OWNER8, OUTAGE6.
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
  // One reassignment takes several commands. The first one raises the epoch; the others still name the old one.
  const isExpectedEpoch =
    server.epoch === command.epoch || (server.standing === 'dead' && server.epoch === command.epoch + 1)
  if (!isExpectedEpoch) return refuse('stale_epoch')
  if (server.standing === 'live') {
    server.epoch++
    servers.setStanding(server, 'dead')
  }
  return handOver(context, server, context.atMs - server.lastConductedMs)
}
