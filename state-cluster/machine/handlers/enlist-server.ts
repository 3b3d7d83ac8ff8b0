/**
 * enlist_server: makes a server live under a new epoch.
 *
 * Input: server. Replies: server (its epoch) · limit_exceeded. Events: auction_extended (outage). If the server still
 * owns auctions, nobody has conducted them since its last pulse: that is an outage, however short.
 * Leaves the measure of outages to outage.ts.
 *
 * Invariant: each enlistment raises the epoch, so commands of an earlier start are refused.
 * Source: docs/spec.md OWNER1, OWNER4, OUTAGE7.
 */
import type { ApplyContext } from '../apply-context.ts'
import type { EnlistServer } from '../commands.ts'
import type { Reply } from '../events.ts'
import { Batch, beginOutage, extendForOutage, setPulseTimeout } from '../outage.ts'
import { refuse } from './refuse.ts'

export function enlistServer(context: ApplyContext, command: EnlistServer): Reply {
  const { servers } = context.state
  const server = servers.getOrAdd(command.serverId, context.atMs)
  if (server === undefined) return refuse('limit_exceeded')
  if (server.load > 0) beginOutage(context, server, context.atMs - server.lastConductedMs)
  server.lastConductedMs = context.atMs
  server.epoch++
  servers.setStanding(server, 'live')
  extendForOutage(context, server, new Batch(context))
  setPulseTimeout(context, server, 0)
  return { ok: true, type: 'server', epoch: server.epoch }
}
