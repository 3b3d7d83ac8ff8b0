/**
 * The hunt for one planted mistake: seeds are tried in order, in worlds drawn for it, until one breaks a rule; then
 * the very world that did is played once more without the mistake. Invariant: a mistake counts as found only when
 * its world breaks a rule with it and none without it; how many seeds are tried is bounded and told.
 */
import type { Plant } from './planted.ts'
import type { RunRequest, RunResult } from './run.ts'

/** Seeds until a mistake counts as missed. */
export const huntSeedsMax = 60

export interface HuntRequest {
  readonly plant: Plant
  /** The first one. */
  readonly seed: number
  readonly minutes: number
  readonly play: (request: Pick<RunRequest, 'seed' | 'minutes' | 'plant' | 'world'>) => Promise<RunResult>
}

export interface Hunt {
  /** Seeds that were tried. */
  readonly tried: number
  /** What broke a rule; `undefined`: nothing did. */
  readonly found: RunResult | undefined
  /** The same world without the mistake. */
  readonly without: RunResult | undefined
}

export async function hunt({ plant, seed, minutes, play }: HuntRequest): Promise<Hunt> {
  for (let tried = 1; tried <= huntSeedsMax; tried++) {
    const own = { seed: seed + tried - 1, minutes }
    const found = await play({ ...own, plant })
    if (found.violation === null) continue
    return { tried, found, without: await play({ ...own, world: plant }) }
  }
  return { tried: huntSeedsMax, found: undefined, without: undefined }
}

/** Whether the hunt shows that the checks find the mistake, and that it is the mistake that they find. */
export function isCaught({ found, without }: Hunt): boolean {
  return found !== undefined && without?.violation === null
}
