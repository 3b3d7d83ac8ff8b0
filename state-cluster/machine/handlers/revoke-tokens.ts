/**
 * revoke_tokens: from now on, tokens that were issued until a moment count no more.
 *
 * Input: a subject, or none for everybody, and the moment, or none for now. Replies: done · limit_exceeded (too many
 * subjects). Events: none. Leaves the refusal of tokens to the servers, which read the house's facts.
 *
 * Invariant: a moment never goes back, and none lies after the stamp.
 * Source: docs/spec.md HOUSE7.
 */
import type { ApplyContext } from '../apply-context.ts'
import type { RevokeTokens } from '../commands.ts'
import type { Reply } from '../events.ts'
import { refuse } from './refuse.ts'

export function revokeTokens(context: ApplyContext, { subject, untilMs }: RevokeTokens): Reply {
  const { house, limits } = context.state
  const moment = Math.min(untilMs ?? context.atMs, context.atMs)
  if (subject === undefined) house.revokedAllMs = Math.max(house.revokedAllMs, moment)
  // No token lives longer than `tokenLifeMsMax`: what was issued before has expired by itself.
  const horizonMs = Math.max(house.revokedAllMs, context.atMs - limits.tokenLifeMsMax)
  const revoked = new Map(house.revoked.filter(([, ms]) => ms > horizonMs))
  if (subject !== undefined && moment > horizonMs) {
    const isNew = !revoked.has(subject)
    if (isNew && revoked.size >= limits.revokedSubjectsMax) return refuse('limit_exceeded')
    revoked.set(subject, Math.max(revoked.get(subject) ?? 0, moment))
  }
  house.revoked = [...revoked].sort(([a], [b]) => (a < b ? -1 : 1))
  return { ok: true, type: 'done' }
}
