/**
 * configure_house: changes the house's settings and switches features on.
 *
 * Input: all settings (tables of increments are optional), and numbers of features. Replies: done · terms_invalid (a setting out of range). Events: none.
 * Throws `InvariantError` for a feature that this build does not know: a replica that continued without it would
 * differ from the others. Leaves the meaning of features to features.ts.
 *
 * Invariant: a feature that is on stays on.
 * Source: docs/spec.md HOUSE1, HOUSE2.
 */
import { houseIncrementsFault } from '../../../protocol/money.ts'
import type { ApplyContext } from '../apply-context.ts'
import type { ConfigureHouse } from '../commands.ts'
import type { Reply } from '../events.ts'
import { requireKnown } from '../features.ts'
import { type Limits, limits } from '../limits.ts'
import { isWithin } from '../terms.ts'
import { refuse } from './refuse.ts'

/** Which setting is out of range, and what it must be; `undefined` when all are within. */
export function settingsFault(
  settings: ConfigureHouse['settings'],
  within: Limits = limits,
): string | undefined {
  for (const name of ['outageExtensionMinMs', 'outageThresholdMs'] as const)
    if (!isWithin(settings[name], 1, within.outageMsMax))
      return `${name} must be whole milliseconds from 1 to ${within.outageMsMax}`
  const fault = settings.increments === undefined ? undefined : houseIncrementsFault(settings.increments)
  return fault === undefined ? undefined : `increments must be tables by currency: ${fault}`
}

export function configureHouse(context: ApplyContext, command: ConfigureHouse): Reply {
  const { house, limits: within } = context.state
  const { settings, features } = command
  requireKnown(features)
  if (settingsFault(settings, within) !== undefined) return refuse('terms_invalid')
  house.settings = settings
  house.features = [...new Set([...house.features, ...features])].sort((x, y) => x - y)
  return { ok: true, type: 'done' }
}
