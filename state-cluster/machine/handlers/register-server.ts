/**
 * register_server: a server begins, or begins again, and gets a new epoch; commands of its older ones are refused
 * from then on. When it last conducted is kept, so that an outage is measured across its restart.
 * Replies: server · limit_exceeded. Events: none. Rules OWNER1–OWNER2.
 */
import type { RegisterServer } from '../commands.ts'
import type { Reply } from '../events.ts'
import type { Turn } from '../turn.ts'
import { refuse } from './refuse.ts'

export function registerServer(turn: Turn, command: RegisterServer): Reply {
  const server = turn.state.servers.obtain(command.serverId, turn.atMs)
  if (server === undefined) return refuse('limit_exceeded')
  server.epoch++
  turn.state.changes.touch(server)
  return { ok: true, type: 'server', epoch: server.epoch }
}
