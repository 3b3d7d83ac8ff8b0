/** All drills, by name. */
import type { Drill } from './drill.ts'
import { leaderKill } from './leader-kill.ts'
import { wholeDrills } from './with-monitors.ts'

export const drills: readonly Drill[] = [leaderKill, ...wholeDrills]
