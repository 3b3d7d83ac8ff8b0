/**
 * All drills, by name.
 *
 * Invariant: every drill that the command runs is in this list.
 */
import { clockSkew } from './clock-skew.ts'
import type { Drill } from './drill.ts'
import { lag } from './lag.ts'
import { leaderKill } from './leader-kill.ts'
import { partition } from './partition.ts'
import { stall } from './stall.ts'
import { state } from './state.ts'
import { wholeDrills } from './with-monitors.ts'

export const drills: readonly Drill[] = [leaderKill, state, ...wholeDrills, partition, clockSkew, lag, stall]
