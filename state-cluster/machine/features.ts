/**
 * Numbered changes of behaviour. What `apply` computes from an entry never changes for entries that are already
 * in a log: a new behaviour gets a number here, old code runs until a committed `configure_house` switches the
 * number on, and it stays on. Invariant: a number, once released, keeps its meaning for ever.
 *
 * A new group begins with all that its first leader's build knows (HOUSE3); in one that exists the operator
 * switches them on. A replica that meets a number it does not know ends rather than guesses (HOUSE2).
 * Source: STYLE "Adding things".
 */
import { InvariantError } from './assert.ts'

/** Feature name → number, 1 to 65535. `House.has` asks for one. */
export const featureNumbers = {
  /** OUTAGE9: a server that gets auctions from another one works off its own silence first. */
  hand_over_ends_silence: 1,
} as const satisfies Readonly<Record<string, number>>

export type FeatureName = keyof typeof featureNumbers

/** In rising order. */
export const knownFeatures: readonly number[] = Object.values(featureNumbers).sort((x, y) => x - y)

/** The feature's name; of a number that this build does not know, the number in words. */
export function featureNameOf(feature: number): string {
  const found = Object.entries(featureNumbers).find(([, number]) => number === feature)
  return found === undefined ? `feature_${feature}` : found[0]
}

/** Whoever runs the node can help it, so it is told in one line. */
export class FeatureUnknownError extends InvariantError {
  readonly code = 'feature_unknown'

  constructor(feature: number) {
    super('this house uses a feature of a newer version: upgrade this node', { feature })
  }
}

/** Ends the work at a feature that is on and not known here: what comes of it would differ from other replicas'. */
export function requireKnown(features: readonly number[]): void {
  for (const feature of features) if (!knownFeatures.includes(feature)) throw new FeatureUnknownError(feature)
}
