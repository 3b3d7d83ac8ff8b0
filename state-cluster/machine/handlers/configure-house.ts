/**
 * configure_house: changes the house's settings and switches features on.
 *
 * Input: both settings, and numbers of features. Replies: done · terms_invalid (a setting out of range). Events: none.
 * Throws `InvariantError` for a feature that this build does not know: a replica that continued without it would
 * differ from the others. Leaves the meaning of features to features.ts.
 *
 * Invariant: a feature that is on stays on.
 * Source: docs/spec.md HOUSE1, HOUSE2.
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
