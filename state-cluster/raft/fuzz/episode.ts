/**
 * One episode of the random driver: a group under stress, then at rest.
 *
 * The network keeps messages until they are delivered (maybe twice, maybe never, in some order); at its bound it
 * loses the oldest. What happens next is drawn by weight. Invariant: everything that happens comes from the
 * episode's random numbers, and goes into the trace hash.
 */
import { coreOf } from '../inner-state.ts'
import type { AnyConfChange, ConfChangeSingle, Message, Snapshot } from '../types.ts'
import { newConfState } from '../types.ts'
import type { Fault } from './faults.ts'
import { Invariants } from './invariants.ts'
import { type DriverNode, type NodeConfig, type NodeFactory, type World, writeState } from './node.ts'
import { type EpisodeOptions, type EventName, eventNames } from './options.ts'
import { Precautions } from './precautions.ts'
import type { Random, TraceHash } from './random.ts'
import { Violation } from './violation.ts'

const maxInFlight = 400
const maxLate = 200
const traceLength = 120
/** Where the log of the first members begins; others start empty. */
const bootstrapIndex = 10
/** Rounds of ticks within which a healed group has to come to rest. */
const calmRounds = 400
/** Moves within which a healed group has to have nothing left to do while no time goes by. */
const calmMoves = 50_000

/** How the sending of a snapshot ended; its sender needs a report. */
interface SnapshotReport {
  readonly sender: number
  readonly receiver: number
  readonly hasArrived: boolean
}

export interface EpisodeParts {
  readonly options: EpisodeOptions
  readonly random: Random
  readonly fault: Fault
  readonly hasPrecautions: boolean
  readonly hash: TraceHash
  readonly counts: Map<string, number>
  readonly makeNode: NodeFactory
}

export class Episode {
  steps = 0
  readonly #options: EpisodeOptions
  readonly #random: Random
  readonly #hash: TraceHash
  readonly #counts: Map<string, number>
  readonly #invariants = new Invariants()
  readonly #nodes: DriverNode[] = []
  #inFlight: Message[] = []
  /** Copies of messages that arrive much later than the originals. */
  readonly #late: Message[] = []
  #reports: SnapshotReport[] = []
  /** `#cut[from]` has bit `to` set when nothing gets through from one to the other. */
  #cut: number[]
  #isCalm = false
  #serial = 0
  readonly #totalWeight: number
  /** The last things that happened, as numbers: formatted only when asked for. */
  readonly #trace: (readonly [string, number, Message | null])[] = []

  constructor({ options, random, fault, hasPrecautions, hash, counts, makeNode }: EpisodeParts) {
    this.#options = options
    this.#random = random
    this.#hash = hash
    this.#counts = counts
    this.#cut = new Array<number>(options.nodes + 1).fill(0)
    this.#totalWeight = eventNames.reduce((sum, name) => sum + options.weights[name], 0)
    const world: World = {
      invariants: this.#invariants,
      precautions: hasPrecautions ? new Precautions(this.#holdsDurably) : null,
      fault,
      send: (message) => this.#send(message),
      count: (what) => this.#count(what),
    }
    for (let id = 1; id <= options.nodes; id++) {
      this.#nodes.push(makeNode(id, world, this.#nodeConfig(id), random))
    }
  }

  /** Runs `steps` random steps and then brings the group to rest. Throws what was violated. */
  async run(steps: number): Promise<void> {
    this.#invariants.restored(0, bootstrapIndex, 0)
    const { voters } = this.#options
    for (const node of this.#nodes) {
      await node.prepare(node.id <= voters ? bootstrapSnapshot(voters) : null)
      node.start()
      await node.settle()
    }
    while (this.steps < steps) await this.#step()
    await this.#comeToRest()
  }

  /** The last things that happened, oldest first. */
  recentTrace(): string[] {
    return this.#trace.map(
      ([what, id, message]) => `${what} ${id}${message === null ? '' : ` ${show(message)}`}`,
    )
  }

  /** Something happens from outside, and then network and disks move on a bit. */
  async #step(): Promise<void> {
    this.steps++
    this.#happen(this.#drawEvent())
    await this.#settle()
    for (let moves = this.#random.below(this.#options.pace + 1); moves > 0; moves--) {
      if (this.#random.chance(0.35)) this.#deliver()
      else this.#work(this.#random.pick(this.#nodes))
      await this.#settle()
    }
  }

  /** Waits for what follows without a disk, where nodes run code that is asynchronous. */
  async #settle(): Promise<void> {
    for (const node of this.#nodes) {
      const settled = node.settle()
      if (settled !== null) await settled
    }
  }

  #drawEvent(): EventName {
    let left = this.#random.unit() * this.#totalWeight
    for (const name of eventNames) {
      left -= this.#options.weights[name]
      if (left < 0) return name
    }
    return 'tick'
  }

  /** Whether anything came of it. */
  #happen(name: EventName): boolean {
    const node = this.#random.pick(this.#nodes)
    switch (name) {
      case 'lateCopy':
        return this.#deliverLate()
      case 'tick':
        return this.#tick(node)
      case 'propose':
        return this.#propose(node)
      case 'changeMembers':
        return this.#changeMembers(node)
      case 'readIndex':
        return this.#readIndex(node)
      case 'checkpoint':
        return node.checkpoint() && this.#noteDone('checkpoint', node)
      case 'crash':
        if (!node.isUp) return false
        node.crash()
        for (const other of this.#nodes) if (this.#random.chance(0.5)) other.peerGone(node.id)
        return this.#noteDone('crash', node)
      case 'restart':
        return this.#restart(this.#nodes.find((other) => !other.isUp))
      case 'partition':
        return this.#partition()
      case 'heal':
        this.#cut.fill(0)
        return this.#noteDone('heal', null)
      case 'report':
        return this.#report()
      case 'transferLeader':
        node.raft?.transferLeadership(1 + this.#random.below(this.#nodes.length))
        return node.isUp && this.#noteDone('transferLeader', node)
      case 'campaign':
        node.raft?.campaign()
        return node.isUp && this.#noteDone('campaign', node)
      case 'forgetLeader':
        node.raft?.forgetLeader()
        return node.isUp && this.#noteDone('forgetLeader', node)
    }
  }

  #noteDone(what: string, node: DriverNode | null): true {
    this.#note(what, node?.id ?? 0)
    return true
  }

  readonly #holdsDurably = (id: number, index: number, term: number): boolean =>
    this.#nodes[id - 1]?.holdsDurably(index, term) === true

  // ── Network ────────────────────────────────────────────────────────────────────────────────────────

  #send(message: Message): void {
    this.#inFlight.push(message)
    if (this.#inFlight.length > maxInFlight) this.#lose(this.#inFlight.shift() as Message)
    if (this.#isCalm || !this.#random.chance(this.#options.lateCopies)) return
    if (this.#late.length < maxLate) this.#late.push(message)
    else this.#late[this.#random.below(maxLate)] = message
  }

  #deliverLate(): boolean {
    if (this.#late.length === 0) return false
    const [message] = this.#late.splice(this.#random.below(this.#late.length), 1)
    this.#note('late', 0, message)
    this.#inFlight.push(message as Message)
    return true
  }

  #deliver(): boolean {
    const messages = this.#inFlight
    if (messages.length === 0) return false
    const { order, loss, duplication } = this.#options
    const at = this.#isCalm || this.#random.chance(order) ? 0 : this.#random.below(messages.length)
    const message = messages[at] as Message
    if (!this.#isCalm && this.#random.chance(loss)) {
      messages.splice(at, 1)
      this.#lose(message)
      return true
    }
    const receiver = this.#nodes[message.to - 1] as DriverNode
    if (!receiver.isUp || this.#isCut(message)) {
      messages.splice(at, 1)
      this.#lose(message)
      return true
    }
    if (!receiver.accepts(message)) {
      // Later: after what was sent meanwhile, so that a calm network makes progress.
      messages.push(...messages.splice(at, 1))
      return false
    }
    if (this.#isCalm || !this.#random.chance(duplication)) messages.splice(at, 1)
    else this.#count('duplicates')
    this.#note('deliver', receiver.id, message)
    receiver.step(message)
    if (message.type === 'MsgSnap') {
      this.#reports.push({ sender: message.from, receiver: message.to, hasArrived: true })
    }
    return true
  }

  #isCut({ from, to }: Message): boolean {
    return (((this.#cut[from] as number) >> to) & 1) === 1
  }

  #lose(message: Message): void {
    this.#count('lost')
    if (message.type === 'MsgSnap') {
      this.#reports.push({ sender: message.from, receiver: message.to, hasArrived: false })
    } else if (this.#random.chance(0.1)) {
      this.#nodes[message.from - 1]?.raft?.reportUnreachable(message.to)
    }
  }

  /** Tells a sender how its snapshot fared; some time later, as transports do. */
  #report(): boolean {
    const report = this.#reports.shift()
    if (report === undefined) return false
    this.#note('report', report.sender)
    const sender = this.#nodes[report.sender - 1]
    sender?.raft?.reportSnapshot(report.receiver, report.hasArrived ? 'SnapshotFinish' : 'SnapshotFailure')
    return true
  }

  /** Two sides, or one node alone, or one direction. */
  #partition(): boolean {
    this.#note('partition', 0)
    this.#cut.fill(0)
    const all = 2 ** (this.#nodes.length + 1) - 1
    const kind = this.#random.below(3)
    const side = kind === 0 ? this.#random.below(all + 1) : 2 << this.#random.below(this.#nodes.length)
    for (let id = 1; id <= this.#nodes.length; id++) {
      const isInside = ((side >> id) & 1) === 1
      if (isInside) this.#cut[id] = all & ~side
      else if (kind !== 2) this.#cut[id] = side
    }
    return true
  }

  // ── Nodes and clients ──────────────────────────────────────────────────────────────────────────────

  /** The node's work, or where it has none, the next one's that has. */
  #work(node: DriverNode): boolean {
    for (let i = 0; i < this.#nodes.length; i++) {
      const worker = this.#nodes[(node.id - 1 + i) % this.#nodes.length] as DriverNode
      const what = worker.work()
      if (what === null) continue
      this.#note(what, worker.id)
      return true
    }
    return false
  }

  /** One tick, or now and then so many that an election is due. */
  #tick(node: DriverNode): boolean {
    if (!node.isUp) return false
    const ticks = this.#random.chance(0.1) ? this.#options.electionTick : 1
    for (let i = 0; i < ticks; i++) node.tick()
    return this.#noteDone('tick', node)
  }

  #restart(node: DriverNode | undefined): boolean {
    if (node === undefined) return false
    this.#note('restart', node.id)
    node.start()
    return true
  }

  #propose(node: DriverNode): boolean {
    if (node.raft === null) return false
    const payload = writeState(++this.#serial)
    const isBatch = this.#random.chance(0.1)
    // Where production code runs, only a leader takes commands.
    const isTaken = node.propose(payload, isBatch) || this.#leader()?.propose(payload, isBatch) === true
    this.#note(isTaken ? 'proposed' : 'refused', node.id)
    return true
  }

  /** Most changes are proposed where they can succeed: at a node that believes to lead. */
  #changeMembers(node: DriverNode): boolean {
    const leader = this.#nodes.find(({ raft }) => raft?.basicStatus().raftState === 'StateLeader')
    const { raft, id } = leader ?? node
    if (raft === null) return false
    this.#note('changeMembers', id)
    // Only a leader knows the configuration that a change will meet, and so whether a voter would be left.
    const isLastVoter = leader === undefined || raft.status().config.voters.incoming.size < 2
    raft.proposeConfChange(this.#drawChange(isLastVoter))
    return true
  }

  #drawChange(isLastVoter: boolean): AnyConfChange {
    const context = new Uint8Array(0)
    const kind = this.#random.below(6)
    if (kind === 0) {
      const single = this.#drawSingle()
      return { type: isLastVoter ? 'ConfChangeAddNode' : single.type, nodeId: single.nodeId, context }
    }
    if (kind === 1) return { transition: 'ConfChangeTransitionAuto', changes: [], context }
    const transition = this.#random.pick([
      'ConfChangeTransitionAuto',
      'ConfChangeTransitionJointImplicit',
      'ConfChangeTransitionJointExplicit',
      'ConfChangeTransitionJointExplicit',
    ] as const)
    const changes =
      kind < 4
        ? Array.from({ length: 1 + this.#random.below(3) }, () => this.#drawSingle())
        : this.#drawReplacement()
    // A group never loses its last voter: some change must add one, or the log would hold an invalid change.
    const keeper = 1 + this.#random.below(this.#nodes.length)
    return { transition, changes: [...changes, { type: 'ConfChangeAddNode', nodeId: keeper }], context }
  }

  /** Says of every node whether it is to be a voter from now on. */
  #drawReplacement(): ConfChangeSingle[] {
    const share = this.#random.unit()
    return this.#nodes.map(({ id }) => ({
      type: this.#random.chance(share) ? 'ConfChangeAddNode' : 'ConfChangeRemoveNode',
      nodeId: id,
    }))
  }

  #drawSingle(): ConfChangeSingle {
    const nodeId = 1 + this.#random.below(this.#nodes.length)
    const type = this.#random.pick([
      'ConfChangeAddNode',
      'ConfChangeAddNode',
      'ConfChangeAddLearnerNode',
      'ConfChangeRemoveNode',
    ] as const)
    return { type, nodeId }
  }

  #readIndex(node: DriverNode): boolean {
    const { raft } = node
    if (raft === null) return false
    this.#note('readIndex', node.id)
    const read = ++this.#serial
    this.#invariants.readStarted(read)
    raft.readIndex(writeState(read))
    return true
  }

  // ── The end ────────────────────────────────────────────────────────────────────────────────────────

  /** Heals everything and lets time go by evenly, until all members agree and have applied the same. */
  async #comeToRest(): Promise<void> {
    this.#isCalm = true
    this.#cut.fill(0)
    for (const node of this.#nodes) if (!node.isUp) this.#restart(node)
    for (let round = 0; round < calmRounds; round++) {
      await this.#drain()
      if (this.#isAtRest()) {
        this.#count('episodesAtRest')
        return
      }
      for (const node of this.#nodes) {
        this.steps++
        this.#note('tick', node.id)
        node.tick()
      }
      this.#nudge(round)
      await this.#settle()
    }
    if (this.#isWedged()) {
      this.#count('episodesWedged')
      return
    }
    // Without pre-vote a node that is behind in term may never learn it: see docs/raft.md.
    if (!this.#options.preVote) {
      this.#count('episodesWithoutRest')
      return
    }
    throw new Violation(
      'progress',
      `the healed group did not come to rest within ${calmRounds} rounds: ${this.#describeNodes()}`,
    )
  }

  async #drain(): Promise<void> {
    let moves = 0
    for (let isBusy = true; isBusy; ) {
      isBusy = false
      while (this.#reports.length > 0) this.#report()
      for (const node of this.#nodes) {
        for (let what = node.work(); what !== null; what = node.work()) {
          moves++
          this.#note(what, node.id)
          isBusy = true
          await this.#settle()
        }
      }
      for (let i = this.#inFlight.length; i > 0; i--) {
        moves++
        isBusy = true
        this.#deliver()
        await this.#settle()
      }
      if (moves > calmMoves) throw new Violation('progress', `messages did not end within ${calmMoves} moves`)
    }
  }

  /**
   * What a caller does now and then: a leader that is no member hands over, an explicit joint configuration is left,
   * and a leader whose term has no entry gets one.
   */
  #nudge(round: number): void {
    const leader = this.#leader()
    if (leader?.raft == null || round % 10 !== 9) return
    const { config } = leader.raft.status()
    if (!config.voters.has(leader.id)) leader.raft.transferLeadership(this.#random.pick(config.voters.ids()))
    else if (config.voters.isJoint && !config.autoLeave) {
      const context = new Uint8Array(0)
      leader.raft.proposeConfChange({ transition: 'ConfChangeTransitionAuto', changes: [], context })
    } else this.#propose(leader)
  }

  /** Members as the node with the newest applied configuration sees them. */
  #isMember(node: DriverNode): boolean {
    const newest = this.#nodes.reduce((best, other) =>
      other.machine.index > best.machine.index ? other : best,
    )
    const { voters, votersOutgoing, learners } = newest.machine.confState
    return [...voters, ...votersOutgoing, ...learners].includes(node.id)
  }

  #leader(): DriverNode | undefined {
    const leaders = this.#nodes.filter(({ raft }) => raft?.basicStatus().raftState === 'StateLeader')
    return leaders.sort((a, b) => (b.raft?.basicStatus().term ?? 0) - (a.raft?.basicStatus().term ?? 0))[0]
  }

  /**
   * Whether nobody can win an election, which configurations that take effect when applied (and not when appended,
   * as in the paper) allow for: a leader that leaves, or becomes a learner, may be the only one to have the end of its
   * log, and the only one to know that it left. The others still need its vote, which it must refuse; and itself it
   * may not campaign. docs/raft.md says how a caller avoids it: leadership is transferred before its holder leaves.
   */
  #isWedged(): boolean {
    return this.#nodes.every(({ raft }) => {
      if (raft === null || !coreOf(raft).promotable()) return true
      const { log, trk } = coreOf(raft)
      const votes = new Map<number, boolean>()
      for (const other of this.#nodes) {
        if (other.raft === null) continue
        votes.set(other.id, coreOf(other.raft).log.isUpToDate(log.lastIndex(), log.lastTerm()))
      }
      return trk.config.voters.voteResult(votes) !== 'VoteWon'
    })
  }

  #describeNodes(): string {
    const texts = this.#nodes.map(({ id, raft, machine }) => {
      if (raft === null) return `${id} is down`
      const { raftState, term, lead, commit, applied, config } = raft.status()
      const log = `log ..${coreOf(raft).log.lastIndex()}, commit ${commit}, applied ${applied}/${machine.index}`
      return `${id} ${raftState} term ${term} lead ${lead} ${log} voters ${config.voters} learners (${config.learners.join(' ')})`
    })
    return texts.join('; ')
  }

  #isAtRest(): boolean {
    const leader = this.#leader()
    if (leader?.raft == null || !this.#isMember(leader)) return false
    const { term, commit } = leader.raft.basicStatus()
    if (leader.raft.status().config.voters.isJoint) return false
    if (commit !== leader.lastIndex || commit < this.#invariants.highestCommit) return false
    return this.#nodes
      .filter((node) => this.#isMember(node))
      .every(
        (node) =>
          node.machine.index === commit && node.raft?.basicStatus().term === term && node.openPromises === 0,
      )
  }

  // ── Bookkeeping ────────────────────────────────────────────────────────────────────────────────────

  #count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1)
  }

  #note(what: string, id: number, message: Message | null = null): void {
    this.#count(what)
    this.#hash.add(id * 64 + what.length)
    if (message !== null) this.#hash.add(message.term * 31 + message.index * 7 + message.type.length)
    const status = this.#nodes[id - 1]?.raft?.basicStatus()
    if (status !== undefined) this.#hash.add(status.term * 1009 + status.commit)
    this.#trace.push([what, id, message])
    if (this.#trace.length > traceLength) this.#trace.shift()
  }

  #nodeConfig(id: number): NodeConfig {
    const o = this.#options
    return {
      electionTick: o.electionTick,
      heartbeatTick: 1,
      keptEntries: o.keptEntries,
      asyncStorageWrites: o.asyncStorageWrites[id - 1] === true,
      preVote: o.preVote,
      checkQuorum: o.checkQuorum,
      stepDownOnRemoval: o.stepDownOnRemoval,
      disableProposalForwarding: o.disableProposalForwarding,
      maxSizePerMsg: o.maxSizePerMsg,
      maxInflightMsgs: o.maxInflightMsgs,
      maxInflightBytes: o.maxInflightBytes,
      maxCommittedSizePerReady: o.maxCommittedSizePerReady,
      maxUncommittedEntriesSize: o.maxUncommittedEntriesSize,
    }
  }
}

function bootstrapSnapshot(voters: number): Snapshot {
  const ids = Array.from({ length: voters }, (_, i) => i + 1)
  return { data: writeState(0), metadata: { confState: newConfState(ids), index: bootstrapIndex, term: 1 } }
}

function show({ type, from, to, term, index, logTerm, entries, commit, reject }: Message): string {
  const rest = `${reject ? ' rejected' : ''}${entries.length > 0 ? ` +${entries.length}` : ''}`
  return `${from}->${to} ${type} term ${term} log ${logTerm}/${index} commit ${commit}${rest}`
}
