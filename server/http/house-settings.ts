/**
 * Reads and changes the settings of the house, in every group.
 *
 * They are the outage settings, the features, and the time where it has to be shifted. Who may do it is decided by the routes. Invariant: a success shows
 * what the groups held after the change. Groups that differ are listed, a change that some groups may have missed is a
 * problem that names them, and the same request again makes them equal. Source: docs/spec.md HOUSE4 to HOUSE6.
 */
import type { HouseBody, HouseGroup, HttpBodyOf } from '../../protocol/http-bodies.ts'
import type { GroupId } from '../../protocol/ids.ts'
import type { IncrementTable } from '../../protocol/money.ts'
import {
  type Cluster,
  type ConfigureHouse,
  featureNameOf,
  type HouseView,
  knownFeatures,
  type ShiftClock,
  settingsFault,
} from '../../state-cluster/index.ts'
import type { HttpAnswer } from '../carrier/socket.ts'
import { clusterFault, jsonAnswer, problemAnswer } from './answers.ts'

type Groups = Pick<Cluster, 'groups' | 'house' | 'knownFeatures' | 'propose'>

export async function showHouse(cluster: Groups): Promise<HttpAnswer> {
  return jsonAnswer(200, await houseOf(cluster))
}

export async function configureHouse(
  cluster: Groups,
  body: HttpBodyOf<'configureHouse'>,
): Promise<HttpAnswer> {
  const { features, ...asked } = body
  if (features === undefined && Object.keys(asked).length === 0)
    return problemAnswer('field_invalid', { detail: 'name a setting, or features, to change' })
  const before = await viewsOf(cluster)
  if (features !== undefined) {
    const known = await cluster.knownFeatures()
    const strange = knownFeatures.filter((feature) => !known.includes(feature))
    // A node that applies an unknown feature ends its process.
    if (strange.length > 0) {
      const names = strange.map(featureNameOf).join(', ')
      const detail = `a state node does not know ${names}: upgrade all nodes first`
      return problemAnswer('terms_invalid', { detail })
    }
  }
  const commandOf = ({ settings }: HouseView): ConfigureHouse => ({
    type: 'configure_house',
    settings: changed(settings, asked),
    features: features === undefined ? [] : knownFeatures,
  })
  return await changeAll(
    cluster,
    before.map(({ groupId, view }) => ({ groupId, command: commandOf(view) })),
    () => {
      const faults = before.map(({ view }) => settingsFault(changed(view.settings, asked)))
      return faults.find((fault) => fault !== undefined)
    },
  )
}

/** The way out where stamps are far from true time; the same request again shifts nothing twice. */
export async function shiftClock(cluster: Groups, toMs: number): Promise<HttpAnswer> {
  const command: ShiftClock = { type: 'shift_clock', toMs }
  return await changeAll(
    cluster,
    cluster.groups.map((groupId) => ({ groupId, command })),
    () => 'to must be a moment in milliseconds since 1970',
  )
}

/** The settings with what was asked for; a currency's null takes its table away. */
function changed(
  settings: HouseView['settings'],
  { increments, ...asked }: Omit<HttpBodyOf<'configureHouse'>, 'features'>,
): HouseView['settings'] {
  const { increments: before, ...others } = settings
  const tables = Object.entries({ ...before, ...increments })
    .filter((entry): entry is [string, IncrementTable] => entry[1] !== null)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return {
    ...others,
    ...asked,
    ...(tables.length === 0 ? {} : { increments: Object.fromEntries(tables) }),
  }
}

interface GroupChange {
  readonly groupId: GroupId
  readonly command: ConfigureHouse | ShiftClock
}

/** Makes the changes; `faultOf` says why a group refuses its own. */
async function changeAll(
  cluster: Groups,
  changes: readonly GroupChange[],
  faultOf: () => string | undefined,
): Promise<HttpAnswer> {
  const outcomes = await Promise.allSettled(
    changes.map(({ groupId, command }) => cluster.propose(groupId, command)),
  )
  const faults = outcomes.filter((outcome) => outcome.status === 'rejected')
  const replies = outcomes.filter((outcome) => outcome.status === 'fulfilled').map(({ value }) => value)
  if (replies.some((reply) => !reply.ok)) {
    const detail = faultOf()
    return problemAnswer('terms_invalid', detail === undefined ? {} : { detail })
  }
  if (faults.length === 0) return await showHouse(cluster)
  const codes = new Set<NonNullable<ReturnType<typeof clusterFault>>>()
  for (const { reason } of faults) {
    const code = clusterFault(reason)
    if (code === undefined) throw reason
    codes.add(code)
  }
  // The change is certain to have failed only when no group has made it or may have made it.
  const [only] = codes
  const isSure = replies.length === 0 && codes.size === 1 && only !== undefined
  const missing = changes.filter((_, at) => outcomes[at]?.status === 'rejected').map(({ groupId }) => groupId)
  const detail = `changed in ${replies.length} of ${outcomes.length} groups, not known to be changed: ${missing.slice(0, 10).join(', ')}; send the request again`
  return problemAnswer(isSure ? only : 'outcome_unknown', { detail })
}

async function viewsOf(cluster: Groups): Promise<readonly { groupId: GroupId; view: HouseView }[]> {
  return await Promise.all(
    cluster.groups.map(async (groupId) => ({ groupId, view: await cluster.house(groupId) })),
  )
}

/** A feature counts as on when it is on in every group. */
async function houseOf(cluster: Groups): Promise<HouseBody> {
  const groups = (await viewsOf(cluster)).map(
    ({ groupId, view }): HouseGroup => ({
      group: groupId,
      settings: view.settings,
      features: view.features.map(featureNameOf),
    }),
  )
  const none: HouseGroup['settings'] = { outageExtensionMinMs: 0, outageThresholdMs: 0 }
  const [first = { settings: none, features: [] }] = groups
  const features = first.features.filter((name) => groups.every((group) => group.features.includes(name)))
  const body = {
    settings: first.settings,
    features,
    featuresOff: knownFeatures.map(featureNameOf).filter((name) => !features.includes(name)),
  }
  const areAlike = groups.every(
    (group) =>
      group.features.length === features.length &&
      group.settings.outageExtensionMinMs === first.settings.outageExtensionMinMs &&
      group.settings.outageThresholdMs === first.settings.outageThresholdMs &&
      JSON.stringify(group.settings.increments) === JSON.stringify(first.settings.increments),
  )
  return areAlike ? body : { ...body, groups }
}
