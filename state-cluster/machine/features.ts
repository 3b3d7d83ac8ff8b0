/**
 * Numbered features: changes of behaviour that a committed entry switches on. What `apply` computes from an entry
 * never changes for entries that are already in a log. A new behaviour therefore gets a number, the old code runs
 * until a committed `configure_house` switches the number on, and it stays on. Invariant: a replica that meets a
 * number it does not know ends, because it cannot compute what the others do (HOUSE2).
 *
 * A new group begins with all the features of its build (HOUSE3); in an existing one the operator switches them on.
 * The table: feature-numbers.ts. Source: docs/style.md "Adding things".
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

/** The feature's name; of a number that this build does not know, the number in words. */
export function featureNameOf(feature: number): string {
  const found = Object.entries(table).find(([, number]) => number === feature)
  return found === undefined ? `feature_${feature}` : found[0]
}

/** The operator can solve this one by an upgrade, so the message says so. */
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
