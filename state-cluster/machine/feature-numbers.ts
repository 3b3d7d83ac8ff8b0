/**
 * The table of numbered features: name → number, 1 to 65535. It is empty: no release has brought one yet.
 * Invariant: a number, once released, keeps its meaning permanently and is never used again.
 * What a feature is, and how it is switched on: features.ts. A test puts a table of its own in place of this file.
 */
export const featureNumbers = {} as const satisfies Readonly<Record<string, number>>
