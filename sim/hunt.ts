/**
 * The hunt for one planted fault: tries seeds until one breaks a rule.
 *
 * Seeds are tried in order, in worlds drawn for the fault. The world that broke a rule is then run again without the
 * fault.
 *
 * Invariant: a fault counts as found only when its world breaks a rule with it and none without it; the number of
 * seeds is bounded and reported.
 */
import type { Plant } from './planted.ts'
import type { RunRequest, RunResult } from './run.ts'

/** Seeds until a planted fault counts as missed. */
export const huntSeedsMax = 60

export interface HuntRequest {
  readonly plant: Plant
  /** The first seed. */
  readonly seed: number
  readonly minutes: number
  readonly play: (request: Pick<RunRequest, 'seed' | 'minutes' | 'plant' | 'world'>) => Promise<RunResult>
}

export interface Hunt {
  /** Seeds that were tried. */
  readonly tried: number
  /** The run that broke a rule; `undefined`: none did. */
  readonly found: RunResult | undefined
  /** The same world without the fault. */
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

/** Whether the checks find the fault, and find it rather than something else. */
export function isCaught({ found, without }: Hunt): boolean {
  return found !== undefined && without?.violation === null
}
