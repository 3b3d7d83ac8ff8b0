/**
 * register_buyer: adds a buyer, or replaces what is known of one.
 *
 * Input: buyer, name, interests, endpoint, and the server that registers it. Replies: buyer · terms_invalid ·
 * limit_exceeded, checked in this order. Events: none. Outbox entries: MATCHING_AUCTIONS, when the buyer has interests.
 * Leaves the index from tags to buyers to buyers.ts.
 *
 * Invariant: a refused registration changes nothing that is known of the buyer.
 * Source: docs/spec.md BUYER1–BUYER3, LIMIT1.
 */
import type { ApplyContext } from '../apply-context.ts'
import { Buyer } from '../buyers.ts'
import type { RegisterBuyer } from '../commands.ts'
import type { Reply } from '../events.ts'
import { areTags } from '../terms.ts'
import { refuse } from './refuse.ts'

export function registerBuyer(context: ApplyContext, command: RegisterBuyer): Reply {
  const { buyers, limits, servers, tags } = context.state
  const { buyerId, name, interests, endpoint } = command
  if (name.length === 0 || name.length > limits.nameLengthMax) return refuse('terms_invalid')
  if (!areTags(interests, limits.interestsMax, limits)) return refuse('terms_invalid')
  if (endpoint !== undefined && endpoint.length > limits.endpointLengthMax) return refuse('terms_invalid')

  const known = buyers.get(buyerId)
  if (known === undefined && buyers.size >= limits.buyersMax) return refuse('limit_exceeded')
  if (tags.size + tags.countNew(interests) > limits.distinctTagsMax) return refuse('limit_exceeded')
  const server = servers.getOrAdd(command.serverId, context.atMs)
  if (server === undefined) return refuse('limit_exceeded')

  if (known === undefined) buyers.add(new Buyer(buyerId, name, interests, endpoint))
  else buyers.replace(known, name, interests, endpoint)
  if (interests.length > 0) context.notifyBuyer(server.id, buyerId)
  return { ok: true, type: 'buyer', buyerId }
}
