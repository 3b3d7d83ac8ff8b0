/**
 * release_server: a server stops by plan. Nothing new is assigned to it, and what it owns goes to live servers, a
 * batch at a time; nothing was interrupted, so nothing is extended. Without another live server its auctions stay
 * and wait. Replies: reassigned · stale_epoch. Events: none. Rules OWNER6, OWNER7.
 */

import type { ApplyContext } from '../apply-context.ts'
import type { ReleaseServer } from '../commands.ts'
import type { Reply } from '../events.ts'
import { handOver } from '../hand-over.ts'
import { refuse } from './refuse.ts'

export function releaseServer(context: ApplyContext, command: ReleaseServer): Reply {
  const { servers } = context.state
  const server = servers.get(command.serverId)
  if (server === undefined || server.epoch !== command.epoch) return refuse('stale_epoch')
  if (server.standing === 'live') servers.setStanding(server, 'left')
  return handOver(context, server, undefined)
}
