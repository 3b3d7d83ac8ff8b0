/** All drills, by name. */
import type { Drill } from './drill.ts'
import { leaderKill } from './leader-kill.ts'
import { state } from './state.ts'
import { wholeDrills } from './with-monitors.ts'

export const drills: readonly Drill[] = [leaderKill, state, ...wholeDrills]
