/**
 * acquire_monitor_lease: takes the monitor's lease when it is free, or renews it.
 *
 * Input: the monitor's name and `ttlMs`. Replies: lease, which names the present holder, also when that is another
 * monitor · terms_invalid (`ttlMs` out of range). Events: none. Leaves to reassign.ts what the holder may do.
 *
 * Invariant: the token rises each time a free lease is taken; a renewal keeps the token and never shortens the lease.
 * Source: docs/spec.md MONITOR1, MONITOR2.
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
