/**
 * acquire_monitor_lease: who holds the lease keeps it for `ttlMs` from now; once it has run out, whoever asks gets
 * it under a new token. Replies: lease (whoever holds it) · terms_invalid. Events: none. Rules MONITOR1–MONITOR2.
 */

import type { ApplyContext } from '../apply-context.ts'
import type { AcquireMonitorLease } from '../commands.ts'
import type { Reply } from '../events.ts'
import { isWithin } from '../terms.ts'
import { refuse } from './refuse.ts'

export function acquireMonitorLease(context: ApplyContext, command: AcquireMonitorLease): Reply {
  const { changes, lease, limits } = context.state
  const { monitorId, ttlMs } = command
  if (!isWithin(ttlMs, limits.leaseMsMin, limits.leaseMsMax)) return refuse('terms_invalid')
  const isFree = lease.token === 0 || context.atMs >= lease.untilMs
  if (isFree) {
    lease.monitorId = monitorId
    lease.token++
  }
  if (lease.monitorId === monitorId) {
    lease.untilMs = Math.max(isFree ? 0 : lease.untilMs, context.atMs + ttlMs)
    changes.touch(lease)
  }
  return { ok: true, type: 'lease', monitorId: lease.monitorId, token: lease.token, untilMs: lease.untilMs }
}
