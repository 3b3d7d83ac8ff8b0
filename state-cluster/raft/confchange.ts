/**
 * Turns a configuration and changes into the next configuration, or refuses.
 *
 * ```
 *   (1 2 3)  --enterJoint: v4 r1-->  (2 3 4)&&(1 2 3)  --leaveJoint-->  (2 3 4)
 *   (1 2 3)  --simple: v4-->  (1 2 3 4)
 * ```
 *
 * Invariant: whatever goes in or comes out is consistent (see `checkInvariants`), and two successive
 * configurations share a quorum: a simple step changes at most one voter. Works on copies; the caller swaps
 * the result in. Source: Raft dissertation §4.3; etcd-io/raft confchange/.
 */
import { ConfChangeError } from './errors.ts'
import type { Progress } from './progress.ts'
import { JointConfig, MajorityConfig } from './quorum.ts'
import { EMPTY_TRACKER_CONFIG, type ProgressMap, ProgressTracker, type TrackerConfig } from './tracker.ts'
import type { ConfChangeSingle, ConfChangeV2, ConfState } from './types.ts'

/** A configuration with the progresses that belong to it. */
export interface Configuration {
  readonly config: TrackerConfig
  readonly progress: ProgressMap
}

/** A configuration being changed. */
interface Draft {
  readonly incoming: Set<number>
  readonly outgoing: Set<number>
  readonly learners: Set<number>
  readonly learnersNext: Set<number>
  readonly progress: Map<number, Progress>
  autoLeave: boolean
}

/** All methods throw ConfChangeError, whose message is the reason, and leave the tracker as it is. */
export class Changer {
  readonly #tracker: ProgressTracker
  readonly #lastIndex: number

  /** `lastIndex` is the end of the log: where a node that is new is first probed. */
  constructor(tracker: ProgressTracker, lastIndex: number) {
    this.#tracker = tracker
    this.#lastIndex = lastIndex
  }

  /** Changes at most one voter, and any number of learners, at once. */
  simple(changes: readonly ConfChangeSingle[]): Configuration {
    const draft = this.#draft()
    if (draft.outgoing.size > 0) throw new ConfChangeError("can't apply simple config change in joint config")
    this.#apply(draft, changes)
    const before = new Set(this.#tracker.config.voters.incoming.ids)
    if (symmetricDifference(before, draft.incoming) > 1) {
      throw new ConfChangeError('more than one voter changed without entering joint config')
    }
    return finish(draft)
  }

  /** Keeps the voters as the outgoing half and applies the changes to the incoming one. */
  enterJoint(autoLeave: boolean, changes: readonly ConfChangeSingle[]): Configuration {
    const draft = this.#draft()
    if (draft.outgoing.size > 0) throw new ConfChangeError('config is already joint')
    if (draft.incoming.size === 0) throw new ConfChangeError("can't make a zero-voter config joint")
    for (const id of draft.incoming) draft.outgoing.add(id)
    this.#apply(draft, changes)
    draft.autoLeave = autoLeave
    return finish(draft)
  }

  /** Drops the outgoing half, and with it everyone who is neither voter nor learner any more. */
  leaveJoint(): Configuration {
    const draft = this.#draft()
    if (draft.outgoing.size === 0) throw new ConfChangeError("can't leave a non-joint config")
    for (const id of draft.learnersNext) {
      draft.learners.add(id)
      const pr = draft.progress.get(id)
      if (pr !== undefined) pr.isLearner = true
    }
    draft.learnersNext.clear()
    for (const id of draft.outgoing) {
      if (!draft.incoming.has(id) && !draft.learners.has(id)) draft.progress.delete(id)
    }
    draft.outgoing.clear()
    draft.autoLeave = false
    return finish(draft)
  }

  /** Does what the change asks for: leave a joint configuration, enter one, or change in one step. */
  change(change: ConfChangeV2): Configuration {
    if (leavesJoint(change)) return this.leaveJoint()
    if (entersJoint(change)) return this.enterJoint(leavesByItself(change), change.changes)
    return this.simple(change.changes)
  }

  #draft(): Draft {
    const { config, progress } = this.#tracker
    checkInvariants(config, progress)
    return {
      incoming: new Set(config.voters.incoming.ids),
      outgoing: new Set(config.voters.outgoing.ids),
      learners: new Set(config.learners),
      learnersNext: new Set(config.learnersNext),
      progress: new Map([...progress].map(([id, pr]) => [id, pr.clone()])),
      autoLeave: config.autoLeave,
    }
  }

  #apply(draft: Draft, changes: readonly ConfChangeSingle[]): void {
    for (const { type, nodeId } of changes) {
      // Node 0 is how a caller takes back a change that is in the log already.
      if (nodeId === 0) continue
      switch (type) {
        case 'ConfChangeAddNode':
          this.#makeVoter(draft, nodeId)
          break
        case 'ConfChangeAddLearnerNode':
          this.#makeLearner(draft, nodeId)
          break
        case 'ConfChangeRemoveNode':
          remove(draft, nodeId)
          break
        case 'ConfChangeUpdateNode':
          break
        default:
          throw new ConfChangeError(`unexpected conf type ${String(type)}`)
      }
    }
    if (draft.incoming.size === 0) throw new ConfChangeError('removed all voters')
  }

  #makeVoter(draft: Draft, id: number): void {
    const pr = draft.progress.get(id)
    if (pr === undefined) {
      this.#addProgress(draft, id, false)
    } else {
      pr.isLearner = false
      draft.learners.delete(id)
      draft.learnersNext.delete(id)
    }
    draft.incoming.add(id)
  }

  /** A voter of the outgoing half has to stay one until the joint configuration is left. */
  #makeLearner(draft: Draft, id: number): void {
    const pr = draft.progress.get(id)
    if (pr === undefined) {
      this.#addProgress(draft, id, true)
      draft.learners.add(id)
      return
    }
    if (pr.isLearner) return
    remove(draft, id)
    draft.progress.set(id, pr)
    if (draft.outgoing.has(id)) {
      draft.learnersNext.add(id)
    } else {
      pr.isLearner = true
      draft.learners.add(id)
    }
  }

  /** A new node counts as active, or the next check of the quorum might depose the leader over it. */
  #addProgress(draft: Draft, id: number, isLearner: boolean): void {
    draft.progress.set(id, this.#tracker.newProgress(id, Math.max(this.#lastIndex, 1), isLearner, true))
  }
}

/** Builds the configuration that `state` describes, from nothing. Throws ConfChangeError. */
export function restore(
  state: ConfState,
  lastIndex: number,
  maxInflight: number,
  maxInflightBytes: number,
): Configuration {
  const tracker = new ProgressTracker(maxInflight, maxInflightBytes)
  tracker.use(EMPTY_TRACKER_CONFIG, new Map())
  const step = (next: (changer: Changer) => Configuration): void => {
    const { config, progress } = next(new Changer(tracker, lastIndex))
    tracker.use(config, progress)
  }
  const toChange = (type: ConfChangeSingle['type']) => (nodeId: number) => ({ type, nodeId })
  const incoming = [
    ...state.votersOutgoing.map(toChange('ConfChangeRemoveNode')),
    ...state.voters.map(toChange('ConfChangeAddNode')),
    ...state.learners.map(toChange('ConfChangeAddLearnerNode')),
    ...state.learnersNext.map(toChange('ConfChangeAddLearnerNode')),
  ]
  if (state.votersOutgoing.length === 0) {
    for (const change of incoming) step((changer) => changer.simple([change]))
  } else {
    for (const id of state.votersOutgoing) {
      step((changer) => changer.simple([{ type: 'ConfChangeAddNode', nodeId: id }]))
    }
    step((changer) => changer.enterJoint(state.autoLeave, incoming))
  }
  return { config: tracker.config, progress: tracker.progress }
}

/** Whether two configurations have the same members in the same roles. */
export function equivalentConfStates(a: ConfState, b: ConfState): boolean {
  const sameIds = (x: readonly number[], y: readonly number[]): boolean =>
    x.length === y.length && [...x].sort(byValue).join() === [...y].sort(byValue).join()
  return (
    sameIds(a.voters, b.voters) &&
    sameIds(a.learners, b.learners) &&
    sameIds(a.votersOutgoing, b.votersOutgoing) &&
    sameIds(a.learnersNext, b.learnersNext) &&
    a.autoLeave === b.autoLeave
  )
}

/** Whether the change leaves a joint configuration: it holds nothing but, maybe, a context. */
export function leavesJoint(change: ConfChangeV2): boolean {
  return change.transition === 'ConfChangeTransitionAuto' && change.changes.length === 0
}

function entersJoint(change: ConfChangeV2): boolean {
  return change.transition !== 'ConfChangeTransitionAuto' || change.changes.length > 1
}

function leavesByItself(change: ConfChangeV2): boolean {
  return change.transition !== 'ConfChangeTransitionJointExplicit'
}

function remove(draft: Draft, id: number): void {
  draft.incoming.delete(id)
  draft.learners.delete(id)
  draft.learnersNext.delete(id)
  // While the outgoing half counts its vote, its progress is needed.
  if (!draft.outgoing.has(id)) draft.progress.delete(id)
}

function finish(draft: Draft): Configuration {
  const voters = new JointConfig(new MajorityConfig(draft.incoming), new MajorityConfig(draft.outgoing))
  const config: TrackerConfig = {
    voters,
    learners: [...draft.learners].sort(byValue),
    learnersNext: [...draft.learnersNext].sort(byValue),
    autoLeave: draft.autoLeave,
  }
  checkInvariants(config, draft.progress)
  return { config, progress: draft.progress }
}

function checkInvariants(config: TrackerConfig, progress: ProgressMap): void {
  const { voters, learners, learnersNext, autoLeave } = config
  const refuse = (reason: string): never => {
    throw new ConfChangeError(reason)
  }
  for (const id of [...voters.ids(), ...learners, ...learnersNext]) {
    if (!progress.has(id)) refuse(`no progress for ${id}`)
  }
  for (const id of learnersNext) {
    if (!voters.outgoing.has(id)) refuse(`${id} is in learnersNext, but not in the outgoing voters`)
    if (progress.get(id)?.isLearner) refuse(`${id} is in learnersNext, but is already marked as learner`)
  }
  for (const id of learners) {
    if (voters.has(id)) refuse(`${id} is both learner and voter`)
    if (!progress.get(id)?.isLearner) refuse(`${id} is in learners, but is not marked as learner`)
  }
  if (!voters.isJoint && learnersNext.length > 0) refuse('learnersNext must be empty when not joint')
  if (!voters.isJoint && autoLeave) refuse('autoLeave must be false when not joint')
}

function symmetricDifference(a: ReadonlySet<number>, b: ReadonlySet<number>): number {
  let count = 0
  for (const id of a) if (!b.has(id)) count++
  for (const id of b) if (!a.has(id)) count++
  return count
}

function byValue(a: number, b: number): number {
  return a - b
}
