/**
 * configure_house: settings that `apply` depends on, and features to switch on for good.
 * Replies: done · terms_invalid. Events: none. A feature that this build does not know ends the process, because
 * a replica that went on without it would differ from the others. Rules HOUSE1–HOUSE2.
 */

import type { ApplyContext } from '../apply-context.ts'
import type { ConfigureHouse } from '../commands.ts'
import type { Reply } from '../events.ts'
import { requireKnown } from '../features.ts'
import { isWithin } from '../terms.ts'
import { refuse } from './refuse.ts'

export function configureHouse(context: ApplyContext, command: ConfigureHouse): Reply {
  const { house, limits } = context.state
  const { settings, features } = command
  requireKnown(features)
  if (!isWithin(settings.outageExtensionMinMs, 1, limits.outageMsMax)) return refuse('terms_invalid')
  if (!isWithin(settings.outageThresholdMs, 1, limits.outageMsMax)) return refuse('terms_invalid')
  house.settings = {
    outageExtensionMinMs: settings.outageExtensionMinMs,
    outageThresholdMs: settings.outageThresholdMs,
  }
  house.features = [...new Set([...house.features, ...features])].sort((x, y) => x - y)
  return { ok: true, type: 'done' }
}
