/**
 * The one row of facts about the whole group.
 *
 * It has the last stamp, the running numbers, the house's settings, and the features that are on. Leaves the checks of
 * a change to handlers/configure-house.ts and apply.ts.
 *
 * Invariant: the running numbers only rise, and `lastAtMs` falls by `shift_clock` alone.
 * Source: docs/spec.md ENTRY2, HOUSE1, HOUSE2, OUTBOX1.
 */
import type { SubjectId } from '../../protocol/ids.ts'
import { type RowKind, Stored } from './changes.ts'
import { encodeHouseIncrements } from './codec.ts'
import type { HouseSettings } from './commands.ts'
import { type FeatureName, featureNumberOf } from './features.ts'
import type { Plain } from './plain.ts'

/*
 * value: [lastAtMs, auctions made, outbox entries made, requests made, outbox entries not queued,
 *         outageExtensionMinMs, outageThresholdMs, [feature …], shifts, requestsForgottenMs, refusals made,
 *         epochsGone, and, once tokens were revoked, revokedAllMs, [subject …], [untilMs …],
 *         and, where the house has tables of increments, [currency, [from, step, …], …]]
 */

const defaultSettings: HouseSettings = { outageExtensionMinMs: 5_000, outageThresholdMs: 2_000 }

export class House extends Stored {
  /** Stamp of the last applied entry; 0 before the first. */
  lastAtMs = 0
  auctionsMade = 0
  outboxEntriesMade = 0
  requestsMade = 0
  /** Stamp of the newest accepted request that made room for another one, before its window was over. */
  requestsForgottenMs = 0
  refusalsMade = 0
  /** The highest epoch of a server whose row is gone; a new row begins above it. */
  epochsGone = 0
  /** NEW_BID and OUTBID that found the outbox full. */
  outboxEntriesDropped = 0
  settings: HouseSettings = defaultSettings
  /** Switched on, in rising order. */
  features: readonly number[] = []
  /** How often house time was shifted: what was said of it before counts no more. */
  shifts = 0
  /** Tokens issued until then count no more; 0: none was revoked so. */
  revokedAllMs = 0
  /** The same of single subjects, by subject; only moments after `revokedAllMs`. */
  revoked: readonly (readonly [subject: SubjectId, untilMs: number])[] = []

  /** Whether a change of behaviour is switched on. */
  has(feature: FeatureName): boolean {
    const number = featureNumberOf(feature)
    return number !== undefined && this.features.includes(number)
  }

  rowKind(): RowKind {
    return 'house'
  }

  rowKey(): string {
    return 'house'
  }

  rowValue(): readonly Plain[] {
    const hasRevoked = this.revokedAllMs > 0 || this.revoked.length > 0
    const tables = encodeHouseIncrements(this.settings.increments)
    return [
      this.lastAtMs,
      this.auctionsMade,
      this.outboxEntriesMade,
      this.requestsMade,
      this.outboxEntriesDropped,
      this.settings.outageExtensionMinMs,
      this.settings.outageThresholdMs,
      this.features,
      this.shifts,
      this.requestsForgottenMs,
      this.refusalsMade,
      this.epochsGone,
      ...(hasRevoked
        ? [this.revokedAllMs, this.revoked.map(([subject]) => subject), this.revoked.map(([, ms]) => ms)]
        : []),
      ...tables,
    ]
  }
}
