/**
 * Numbered features: changes of behaviour that a committed entry switches on.
 *
 * What `apply` computes from an entry never changes for entries that are already in a log. New behaviour therefore gets
 * a number, and the old code runs until a committed `configure_house` switches the number on. It stays on. A new group
 * begins with all features of its build; in an existing one the operator switches them on.
 * Leaves the table itself to feature-numbers.ts.
 *
 * Invariant: a replica that meets an unknown number ends, because it cannot compute what the others do.
 * Source: docs/spec.md HOUSE2, HOUSE3; docs/style.md "Adding things".
 */
import { InvariantError } from './assert.ts'
import { featureNumbers } from './feature-numbers.ts'

export type FeatureName = keyof typeof featureNumbers

const table: Readonly<Record<string, number>> = featureNumbers

/** In rising order. */
export const knownFeatures: readonly number[] = Object.values(table).sort((x, y) => x - y)

/** `undefined`: this build does not know the name. */
export function featureNumberOf(name: FeatureName): number | undefined {
  return table[name]
}

/** The feature's name, or the number as text where this build does not know it. */
export function featureNameOf(feature: number): string {
  const found = Object.entries(table).find(([, number]) => number === feature)
  return found === undefined ? `feature_${feature}` : found[0]
}

/** The operator solves this by an upgrade, and the message says so. */
export class FeatureUnknownError extends InvariantError {
  readonly code = 'feature_unknown'

  constructor(feature: number) {
    super('this house uses a feature of a newer version: upgrade this node', { feature })
  }
}

/** Throws for a feature that is on and not known here: the outcome would differ from that of other replicas. */
export function requireKnown(features: readonly number[]): void {
  for (const feature of features) if (!knownFeatures.includes(feature)) throw new FeatureUnknownError(feature)
}
