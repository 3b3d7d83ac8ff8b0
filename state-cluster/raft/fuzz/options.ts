/**
 * What an episode of the random driver is like.
 *
 * The options say how many nodes there are, how the core is configured, how unreliable the network and the disks
 * are, and how often each thing happens. All are drawn from the episode's seed, so that seeds differ widely.
 *
 * Invariant: equal seeds draw equal options; nothing else does.
 */
import { NO_LIMIT } from '../types.ts'
import type { Random } from './random.ts'

/** What can happen to a group from outside. The weights say how often, relative to each other. */
export const eventNames = [
  'tick',
  'propose',
  'changeMembers',
  'transferLeader',
  'readIndex',
  'checkpoint',
  'crash',
  'restart',
  'partition',
  'heal',
  'report',
  'campaign',
  'forgetLeader',
  'lateCopy',
] as const
export type EventName = (typeof eventNames)[number]

export interface EpisodeOptions {
  readonly theme: Theme
  /** Nodes that exist; 3 to 7. Not all need to be members. */
  readonly nodes: number
  /** Voters at the start, the first ids. */
  readonly voters: number
  /** Whether the node with this id − 1 uses asynchronous storage writes. */
  readonly asyncStorageWrites: readonly boolean[]
  readonly preVote: boolean
  readonly checkQuorum: boolean
  readonly stepDownOnRemoval: boolean
  readonly disableProposalForwarding: boolean
  readonly electionTick: number
  readonly maxSizePerMsg: number
  readonly maxInflightMsgs: number
  readonly maxInflightBytes: number
  readonly maxCommittedSizePerReady: number
  readonly maxUncommittedEntriesSize: number
  /** Most moves (a message delivered, a piece of work done) between two events. */
  readonly pace: number
  /** Chance that a message is lost in flight. */
  readonly loss: number
  /** Chance that a message stays in flight after it was delivered. */
  readonly duplication: number
  /** Chance that a copy of a message is kept, to be delivered much later. */
  readonly lateCopies: number
  /** Chance that messages are delivered in the order in which they were sent. */
  readonly order: number
  /** Entries that a compaction leaves below the checkpoint. */
  readonly keptEntries: number
  readonly weights: Readonly<Record<EventName, number>>
}

/**
 * What an episode dwells on, so that rare chains of accidents become likely ones.
 *
 * - `mixed`: a bit of everything
 * - `churn`: elections faster than a leader can replicate, one entry a message
 * - `members`: whole groups of voters replaced, in joint configurations that last
 * - `laggards`: logs compacted early, so that a node that lags needs a snapshot; late copies of old messages
 */
export const themes = ['mixed', 'churn', 'members', 'laggards'] as const
export type Theme = (typeof themes)[number]

/** Draws the options of one episode. */
export function drawOptions(random: Random): EpisodeOptions {
  const theme = random.pick(themes)
  const nodes =
    theme === 'churn'
      ? random.pick([3, 3, 5])
      : theme === 'members'
        ? 5 + random.below(3)
        : 3 + random.below(5)
  const asyncMode = random.below(3)
  const maxSizePerMsg = theme === 'churn' ? 0 : random.pick([0, 60, 400, NO_LIMIT])
  return {
    theme,
    nodes,
    voters: theme === 'churn' ? nodes : 3 + random.below(Math.min(nodes, 5) - 2),
    asyncStorageWrites: Array.from({ length: nodes }, () =>
      asyncMode === 2 ? random.chance(0.5) : asyncMode === 1,
    ),
    preVote: random.chance(0.4),
    checkQuorum: random.chance(0.4),
    stepDownOnRemoval: random.chance(0.5),
    disableProposalForwarding: random.chance(0.2),
    electionTick: 3 + random.below(8),
    maxSizePerMsg,
    maxInflightMsgs: random.pick([1, 2, 16, 256]),
    maxInflightBytes:
      maxSizePerMsg === NO_LIMIT ? NO_LIMIT : random.pick([NO_LIMIT, Math.max(maxSizePerMsg, 1)]),
    maxCommittedSizePerReady: random.pick([1, 100, NO_LIMIT]),
    maxUncommittedEntriesSize: random.pick([200, NO_LIMIT]),
    pace: random.pick(theme === 'churn' ? [6, 12] : [10, 25, 60]),
    loss: random.pick([0, 0.02, 0.1, 0.25]),
    duplication: random.pick([0, 0.02, 0.15]),
    lateCopies: random.pick(theme === 'laggards' ? [0.1, 0.5] : [0, 0.05, 0.3]),
    order: random.pick([0, 0.5, 0.95]),
    keptEntries: random.pick(theme === 'laggards' ? [0] : [0, 2, 10]),
    weights: { ...drawWeights(random), ...themeWeights[theme] },
  }
}

const themeWeights: Readonly<Record<Theme, Partial<Record<EventName, number>>>> = {
  mixed: {},
  churn: { campaign: 40, crash: 15, changeMembers: 0, checkpoint: 2 },
  members: { changeMembers: 40, campaign: 8, partition: 3 },
  laggards: { checkpoint: 60, campaign: 12, forgetLeader: 20, crash: 8, lateCopy: 30 },
}

/** How often what happens; some things not at all in some episodes, so that others get further. */
function drawWeights(random: Random): Record<EventName, number> {
  const often = (): number => 0.5 + random.unit()
  const seldom = (): number => random.pick([0, 0.3, 1, 3])
  return {
    tick: 100 * often(),
    propose: 40 * often(),
    changeMembers: 5 * seldom(),
    transferLeader: 2 * seldom(),
    readIndex: 8 * seldom(),
    checkpoint: 8 * seldom(),
    crash: 4 * seldom(),
    restart: 15,
    partition: 2 * seldom(),
    heal: 4,
    report: 15,
    campaign: 4 * seldom(),
    forgetLeader: 3 * seldom(),
    lateCopy: 8 * seldom(),
  }
}
