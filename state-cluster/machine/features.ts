/**
 * Numbered changes of behaviour. What `apply` computes from an entry never changes for entries that are already
 * in a log: a new behaviour gets a number here, old code runs until a committed `configure_house` switches the
 * number on, and it stays on. Invariant: a number, once released, keeps its meaning for ever.
 *
 * This version has none: all its behaviour is that of entry version 1. Before a server proposes a number it
 * asks `isFeatureKnown` of every replica's build; a replica that meets an unknown one ends rather than guesses.
 * Source: STYLE "Adding things".
 */

/** Feature name → number, 1 to 65535. */
export const featureNumbers: Readonly<Record<string, number>> = {}

/** Whether this build knows what a feature number switches on. */
export function isFeatureKnown(feature: number): boolean {
  return Object.values(featureNumbers).includes(feature)
}
