/**
 * enlist_server: a server begins, or begins again, and is live: auctions are assigned to it. It gets a new epoch;
 * commands of its older ones are refused from then on. What it still owns was without a conductor since it last
 * conducted: that is an outage, however short. Replies: server · limit_exceeded. Events: auction_extended
 * (outage). Rules OWNER1, OWNER4, OUTAGE7.
 */

import type { ApplyContext } from '../apply-context.ts'
import type { EnlistServer } from '../commands.ts'
import type { Reply } from '../events.ts'
import { Batch, beginOutage, extendForOutage, setPatience } from '../outage.ts'
import { refuse } from './refuse.ts'

export function enlistServer(context: ApplyContext, command: EnlistServer): Reply {
  const { servers } = context.state
  const server = servers.obtain(command.serverId, context.atMs)
  if (server === undefined) return refuse('limit_exceeded')
  if (server.load > 0) beginOutage(context, server, context.atMs - server.lastConductedMs)
  server.lastConductedMs = context.atMs
  server.epoch++
  servers.setStanding(server, 'live')
  extendForOutage(context, server, new Batch(context))
  setPatience(context, server, 0)
  return { ok: true, type: 'server', epoch: server.epoch }
}
