/**
 * release_server: stops assigning auctions to a server and moves those it has.
 *
 * Input: server and its epoch. Replies: reassigned · stale_epoch. Events: none of its own; receivers may extend their
 * auctions (see hand-over.ts). One command moves a batch. Without another live server the auctions stay and wait.
 *
 * Invariant: a planned stop extends no auction that moves, unless its owner had an outage that was not settled yet.
 * Source: docs/spec.md OWNER6, OWNER7.
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
