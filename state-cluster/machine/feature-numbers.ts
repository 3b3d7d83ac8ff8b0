/**
 * The table of numbered features: name → number, 1 to 65535.
 *
 * It is empty: no release has brought a feature yet. Leaves to features.ts what a feature is and how it is switched on.
 * A test puts a table of its own in place of this file.
 *
 * Invariant: a released number keeps its meaning for ever and is never used again.
 * Source: docs/spec.md HOUSE2.
 */
export const featureNumbers = {} as const satisfies Readonly<Record<string, number>>
