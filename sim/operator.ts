/**
 * The operator: adds and removes members while everything else runs.
 *
 * It makes one change at a time, nodes with a damaged disk first, through the production link, and repeats a request
 * until the change is seen.
 *
 * Invariant: it knows which sets of voters may decide now; neither it nor the faults cause a set in which the sound
 * disks are no majority, because no cluster survives that.
 */
import type { GroupId } from '../protocol/ids.ts'
import type { Random } from '../runtime/random.ts'
import { ClusterError } from '../state-cluster/cluster.ts'
import { connectCluster, type RemoteCluster } from '../state-cluster/link/client/remote.ts'
import type { MemberChange } from '../state-cluster/replica/membership.ts'
import type { Replica } from '../state-cluster/replica/replica.ts'
import { HostClock } from './clock.ts'
import type { SimNode } from './node.ts'
import { Process } from './process.ts'
import type { RunContext } from './run-context.ts'

const groupId = 0 as GroupId
/** The least number of voters, so that one may be away. */
const votersMin = 3
/** Members beyond those of the beginning. */
const extraMembersMax = 2

/** What the operator is given: it adds nodes, and looks at them. */
export interface OperatorContext extends RunContext {
  readonly nodes: readonly SimNode[]
  /** A node with an empty disk, under a number that was never used. */
  newNode(): SimNode
}

export class Operator {
  readonly host = 'operator'
  readonly #context: () => OperatorContext
  readonly #random: Random
  #cluster: RemoteCluster | undefined
  #process: Process | undefined
  /** The change that is requested and not known to be done. */
  #pending: MemberChange | undefined
  /** Members as of the newest index that any replica reported. */
  #voters: readonly number[]
  #learners: readonly number[] = []
  #index = 0
  readonly #membersMax: number

  constructor(context: () => OperatorContext, founders: readonly number[], random: Random) {
    this.#context = context
    this.#random = random
    this.#voters = founders
    this.#membersMax = founders.length + extraMembersMax
  }

  start(): void {
    const context = this.#context()
    const process = new Process(context.world, this.host, new HostClock(context.world, 0, 1), this.#random)
    this.#process = process
    context.processes.set(this.host, process)
    this.#connect(process)
  }

  get isBusy(): boolean {
    return this.#pending !== undefined
  }

  /** As of the newest index that any replica reported. */
  get voters(): readonly number[] {
    return this.#voters
  }

  isMember(nodeId: number): boolean {
    const isThere = this.#voters.includes(nodeId) || this.#learners.includes(nodeId)
    return isThere && this.#nodeOf(nodeId)?.isRetired === false
  }

  /** A replica has applied a change of the membership, or taken over a snapshot. */
  sees(replica: Replica): void {
    const { appliedIndex } = replica.applied
    if (appliedIndex <= this.#index) return
    this.#index = appliedIndex
    const members = replica.members()
    const idsOf = (wanted: 'voter' | 'learner'): number[] =>
      members.filter(({ role }) => role === wanted).map(({ nodeId }) => nodeId)
    const voters = idsOf('voter')
    const grown = voters.filter((id) => !this.#voters.includes(id))
    this.#context().counts.add('members.promoted', grown.length)
    this.#voters = voters
    this.#learners = idsOf('learner')
  }

  /** Whether a majority of sound disks remains after any next decision, if this node is damaged too. */
  mayLose(node: SimNode): boolean {
    return this.#isSafe(this.#pending, node)
  }

  /** Begins a change of the membership, unless one is under way. */
  change(): void {
    if (this.#pending !== undefined || this.#cluster === undefined) return
    const count = this.#voters.length + this.#learners.length
    const lost = this.#voters.some((id) => this.#nodeOf(id)?.isLost)
    const mayAdd = count < this.#membersMax
    if (mayAdd && (this.#voters.length <= votersMin || this.#random.chance(lost ? 0.3 : 0.5))) this.#add()
    else this.#remove()
  }

  #add(): void {
    const context = this.#context()
    const node = context.newNode()
    context.counts.add('fault.members')
    this.#pending = { type: 'add', nodeId: node.id, ...node.address }
    node.foundEmpty().then(
      () => {
        node.start()
        this.#request()
      },
      (error) => context.fail(error),
    )
  }

  #remove(): void {
    const mayGo = this.#voters.length > votersMin ? this.#voters : []
    const stuck = this.#learners.filter((id) => this.#nodeOf(id)?.isLost)
    const removals = [...mayGo, ...stuck]
      .map((nodeId): MemberChange => ({ type: 'remove', nodeId }))
      .filter((removal) => this.#isSafe(removal))
    if (removals.length === 0) return
    const ofLost = removals.filter(({ nodeId }) => this.#nodeOf(nodeId)?.isLost)
    this.#pending = this.#random.pick(ofLost.length > 0 ? ofLost : removals)
    this.#context().counts.add('fault.members')
    this.#request()
  }

  /** Repeats the request until the change is seen, because answers and leaders may be lost. */
  #request(): void {
    const change = this.#pending
    const process = this.#process as Process
    if (change === undefined) return
    const again = (error?: unknown): void => {
      if (error !== undefined && !(error instanceof ClusterError)) this.#context().fail(error)
      process.after(200 + this.#random.below(800), () => {
        if (this.#isDone(change)) this.#done(change)
        else this.#request()
      })
    }
    ;(this.#cluster as RemoteCluster).changeMembers(groupId, change).then(() => again(), again)
  }

  #isDone({ type, nodeId }: MemberChange): boolean {
    const isThere = this.#voters.includes(nodeId) || this.#learners.includes(nodeId)
    return isThere === (type === 'add')
  }

  #done({ type, nodeId }: MemberChange): void {
    const { counts, world } = this.#context()
    this.#pending = undefined
    counts.add(type === 'add' ? 'members.added' : 'members.removed')
    if (type === 'add') return
    // A removed node does not know it at once, and is not switched off at once.
    world.schedule(this.#random.below(10_000), () => this.#nodeOf(nodeId)?.retire())
  }

  /** Whether sound disks are a majority of every set of voters that may decide soon. */
  #isSafe(pending: MemberChange | undefined, damaged?: SimNode): boolean {
    const joining = pending?.type === 'add' ? [...this.#learners, pending.nodeId] : this.#learners
    let sets: readonly number[][] = [[...this.#voters]]
    for (const id of joining) {
      if (this.#nodeOf(id)?.isRetired !== true) sets = sets.flatMap((set) => [set, [...set, id]])
    }
    if (pending?.type === 'remove') {
      const { nodeId } = pending
      sets = sets.flatMap((set) => [set, set.filter((id) => id !== nodeId)])
    }
    return sets.every((set) => {
      const sound = set.map((id) => this.#nodeOf(id)).filter((node) => node !== damaged && isSound(node))
      return sound.length > set.length / 2
    })
  }

  #nodeOf(id: number): SimNode | undefined {
    return this.#context().nodes[id - 1]
  }

  #connect(process: Process): void {
    const context = this.#context()
    connectCluster({
      nodes: [...context.addresses().values()],
      dial: context.wires.dial(this.host),
      timing: process.timing,
      instance: this.host,
      principal: 'tool:operator',
    }).then(
      (cluster) => {
        this.#cluster = cluster
      },
      (error) => {
        if (!(error instanceof ClusterError)) context.fail(error)
        process.after(200, () => this.#connect(process))
      },
    )
  }

  toString(): string {
    const what = JSON.stringify(this.#pending ?? 'nothing')
    return `voters ${this.#voters.join()}, learners ${this.#learners.join()}, requested ${what}`
  }
}

function isSound(node: SimNode | undefined): boolean {
  return node !== undefined && !node.disk.isDamaged && !node.isRetired
}
