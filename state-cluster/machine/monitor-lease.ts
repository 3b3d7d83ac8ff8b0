/**
 * Who may act as the group's monitor: one row, or none before the first asked. Invariant: the token rises with
 * every new holder, so that commands of a former one, however late, are told from those of the present one.
 * Source: DESIGN "Owners, the monitor, and fencing"; rules MONITOR1–MONITOR2.
 *
 *   value: [monitor, token, untilMs]
 */
import { type RowKind, Stored } from './changes.ts'
import type { Plain } from './plain.ts'

export class MonitorLease extends Stored {
  monitorId = ''
  /** 0: nobody ever held it. */
  token = 0
  /** Epoch ms, by stamps; from then on anybody may take it. */
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
