/**
 * The lease of the group's acting monitor, as one row.
 *
 * There is no row before the first monitor asked. Leaves taking and renewing to handlers/acquire-monitor-lease.ts.
 *
 * Invariant: the token rises with every new holder, so a late command of a former holder is recognized.
 * Source: docs/spec.md MONITOR1–MONITOR3; docs/design.md "Owners, the monitor, and fencing".
 */
import { type RowKind, Stored } from './changes.ts'
import type { Plain } from './plain.ts'

/*
 * value: [monitor, token, untilMs]
 */

export class MonitorLease extends Stored {
  monitorId = ''
  /** 0: no monitor has held it yet. */
  token = 0
  /** Epoch ms, by stamps; from then on any monitor may take it. */
  untilMs = 0

  /** Whether this monitor, by this token, may act now. */
  isHeldBy(monitorId: string, token: number, atMs: number): boolean {
    return this.token === token && this.monitorId === monitorId && atMs < this.untilMs
  }

  rowKind(): RowKind {
    return 'lease'
  }

  rowKey(): string {
    return 'lease'
  }

  rowValue(): readonly Plain[] {
    return [this.monitorId, this.token, this.untilMs]
  }
}
