/**
 * The commands of interaction scenarios, in the grammar of etcd-io/raft's rafttest.
 *
 * The table has one entry for each command. A few are our own, and marked so, for what that grammar cannot reach.
 * Invariant: a command either writes its result, or throws: `UsageError` when the file is wrong (the run ends),
 * anything else is shown as the stanza's output. A stanza without output says `ok`.
 *
 * What the commands do is in environment.ts.
 */

import type { StepError } from '../errors.ts'
import { coreOf } from '../inner-state.ts'
import type { AnyConfChange, ConfChangeTransition, MessageType, Snapshot } from '../types.ts'
import { EMPTY_BYTES, NO_LIMIT } from '../types.ts'
import { firstNodeId, flag, integer, namedInteger, nodeIds, UsageError } from './arguments.ts'
import { type Argument, parseDirective, type Stanza } from './data-driven.ts'
import { describeEntry, describeError, describeStepError, parseChanges } from './describe.ts'
import { describeProgress } from './describe-tracker.ts'
import { Environment, type MemberConfig, type Recipient } from './environment.ts'
import { encodeUtf8 } from './utf8.ts'

/** Runs the stanzas of one file, in order, on one group. */
export function interactionRunner(): (stanza: Stanza) => string {
  const env = new Environment()
  return (stanza) => {
    if (stanza.command === 'propose-conf-change') return finish(env, () => proposeConfChange(env, stanza))
    return finish(env, () => {
      run(env, stanza.command, stanza.args)
      for (const line of stanza.input.split('\n')) {
        if (line.trim() === '') continue
        const { command, args } = parseDirective(line, stanza.line)
        showFailure(env, () => run(env, command, args))
      }
    })
  }
}

/** What the stanza printed, with the error that ended it, if any. Errors are shown at every log level. */
function finish(env: Environment, body: () => void): string {
  let failure = ''
  try {
    body()
  } catch (error) {
    if (error instanceof UsageError) throw error
    failure = describeError(error)
  }
  const text = env.output.take() + failure
  return text === '' ? 'ok' : text
}

/** A command that fails inside of an input keeps the next ones from running only where output is off. */
function showFailure(env: Environment, body: () => void): void {
  try {
    body()
  } catch (error) {
    if (error instanceof UsageError || env.output.isQuiet) throw error
    env.output.write(describeError(error))
  }
}

function run(env: Environment, command: string, args: readonly Argument[]): void {
  const handler = commands[command]
  if (handler === undefined) throw new Error('unknown command')
  handler(env, args)
}

type Handler = (env: Environment, args: readonly Argument[]) => void

const commands: Readonly<Record<string, Handler>> = {
  /** `_breakpoint`: a place to stop a debugger. */
  _breakpoint: () => {},

  /** `add-nodes COUNT voters=(1,2) learners=(3) index=N content=TEXT` and the options in `addOption`. */
  'add-nodes': (env, args) => addNodes(env, args),

  /** `campaign ID` */
  campaign: (env, args) => refuse(env.member(firstNodeId(args)).raft.campaign()),

  /** `compact ID INDEX`: the log then begins after INDEX. */
  compact: (env, args) => {
    const member = env.member(firstNodeId(args))
    member.storage.compact(integer(args[1]?.key, 'the index'))
    raftLog(env, args)
  },

  /** `deliver-msgs ID… type=MsgX drop=(ID,…)` */
  'deliver-msgs': (env, args) => deliver(env, args),

  /** `process-ready ID…` */
  'process-ready': (env, args) => each(env, args, 'handling Ready', (id) => env.processReady(id)),

  /** `process-append-thread ID…` */
  'process-append-thread': (env, args) =>
    each(env, args, 'processing append thread', (id) => env.processAppendThread(id)),

  /** `process-apply-thread ID…` */
  'process-apply-thread': (env, args) =>
    each(env, args, 'processing apply thread', (id) => env.processApplyThread(id)),

  /** `log-level debug|info|warn|error|fatal|none` */
  'log-level': (env, args) => env.output.setLevel(args[0]?.key ?? ''),

  /** `raft-log ID`: what is on its disk. */
  'raft-log': (env, args) => raftLog(env, args),

  /** `raft-state`: role, term and leader of every node, each as it sees itself. */
  'raft-state': (env) => {
    for (const { id, raft } of env.members) {
      const status = raft.status()
      const { incoming, outgoing } = status.config.voters
      const role = incoming.has(id) || outgoing.has(id) ? '(Voter)' : '(Non-Voter)'
      env.output.write(`${id}: ${status.raftState} ${role} Term:${status.term} Lead:${status.lead}\n`)
    }
  },

  /** `set-randomized-election-timeout ID timeout=N`, until the node's role or term changes. */
  'set-randomized-election-timeout': (env, args) => {
    const timeout = namedInteger(args, 'timeout')
    if (timeout === 0) throw new UsageError('timeout must not be 0')
    coreOf(env.member(firstNodeId(args)).raft).randomizedElectionTimeout = timeout
  },

  /** `stabilize [ID…] [log-level=LEVEL]` */
  stabilize: (env, args) => {
    const level = env.output.level
    const wanted = args.find((arg) => arg.key === 'log-level')?.values[0]
    if (wanted !== undefined) env.output.setLevel(wanted)
    try {
      env.stabilize(nodeIds(args))
    } finally {
      env.output.level = level
    }
  },

  /** `status ID`: the leader's view of everybody's progress. */
  status: (env, args) =>
    env.output.write(describeProgress(env.member(firstNodeId(args)).raft.status().progress)),

  /** `tick-election ID`: as many ticks as an election takes (the random part comes on top). */
  'tick-election': (env, args) => tick(env, args, (config) => config.electionTick),

  /** `tick-heartbeat ID` */
  'tick-heartbeat': (env, args) => tick(env, args, (config) => config.heartbeatTick),

  /** `transfer-leadership from=ID to=ID` */
  'transfer-leadership': (env, args) => {
    const from = env.member(namedInteger(args, 'from'))
    from.raft.transferLeadership(env.member(namedInteger(args, 'to')).id)
  },

  /** `forget-leader ID` */
  'forget-leader': (env, args) => refuse(env.member(firstNodeId(args)).raft.forgetLeader()),

  /** `send-snapshot FROM TO`: put in flight, not delivered. */
  'send-snapshot': (env, args) => {
    const [from, to] = nodeIds(args)
    if (from === undefined || to === undefined) throw new UsageError('send-snapshot takes two nodes')
    env.sendSnapshot(from, to)
  },

  /** `propose ID PAYLOAD` */
  propose: (env, args) => {
    const payload = args[1]
    if (args.length !== 2 || payload === undefined || payload.values.length > 0) {
      throw new UsageError('propose takes a node and one payload without =')
    }
    refuse(env.member(firstNodeId(args)).raft.propose(encodeUtf8(payload.key)))
  },

  /** `report-unreachable ID PEER` */
  'report-unreachable': (env, args) => {
    const [id, peer, ...rest] = nodeIds(args)
    if (id === undefined || peer === undefined || rest.length > 0) {
      throw new Error('must specify exactly two node indexes: node on which to report, and reported node')
    }
    env.member(id).raft.reportUnreachable(env.member(peer).id)
  },

  /** Ours: `report-snapshot ID PEER status=finish|failure` */
  'report-snapshot': (env, args) => {
    const [id, peer] = nodeIds(args)
    const status = args.find((arg) => arg.key === 'status')?.values[0]
    if (id === undefined || peer === undefined || (status !== 'finish' && status !== 'failure')) {
      throw new UsageError('report-snapshot takes two nodes and status=finish or status=failure')
    }
    env.member(id).raft.reportSnapshot(peer, status === 'finish' ? 'SnapshotFinish' : 'SnapshotFailure')
  },

  /** Ours: `read-index ID CONTEXT` */
  'read-index': (env, args) => {
    const context = args[1]?.key
    if (context === undefined) throw new UsageError('read-index takes a node and a context')
    env.member(firstNodeId(args)).raft.readIndex(encodeUtf8(context))
  },
}

function refuse(error: StepError | null): void {
  if (error !== null) throw new Error(describeStepError(error))
}

/** One node: its own output. Several: a title and an indented block for each. */
function each(env: Environment, args: readonly Argument[], title: string, act: (id: number) => void): void {
  const ids = nodeIds(args)
  for (const id of ids) {
    if (ids.length === 1) act(id)
    else {
      env.output.write(`> ${id} ${title}\n`)
      env.output.indented(() => act(id))
    }
  }
}

function tick(env: Environment, args: readonly Argument[], count: (config: MemberConfig) => number): void {
  const member = env.member(firstNodeId(args))
  for (let i = 0; i < count(member.config); i++) member.raft.tick()
}

function raftLog(env: Environment, args: readonly Argument[]): void {
  const { storage } = env.member(firstNodeId(args))
  const first = storage.firstIndex()
  const last = storage.lastIndex()
  if (last < first) {
    env.output.write(`log is empty: first index=${first}, last index=${last}`)
    return
  }
  for (const entry of storage.entries(first, last + 1, NO_LIMIT))
    env.output.write(`${describeEntry(entry)}\n`)
}

function deliver(env: Environment, args: readonly Argument[]): void {
  const recipients: Recipient[] = []
  let type: MessageType | null = null
  for (const { key, values } of args) {
    if (values.length === 0) recipients.push({ id: integer(key, 'a node id'), drop: false })
    for (const value of values) {
      if (key === 'type') type = messageType(value)
      else if (key === 'drop') {
        const id = integer(value, 'a node id')
        if (recipients.some((known) => known.id === id)) {
          throw new UsageError(`can't both deliver and drop msgs to ${id}`)
        }
        recipients.push({ id, drop: true })
      } else throw new UsageError(`deliver-msgs has no ${key}=`)
    }
  }
  if (env.deliver(recipients, type) === 0) env.output.write('no messages\n')
}

function messageType(name: string): MessageType {
  if (!/^Msg[A-Z][A-Za-z]+$/.test(name)) throw new UsageError(`unknown message type ${name}`)
  return name as MessageType
}

const transitions: Readonly<Record<string, ConfChangeTransition>> = {
  auto: 'ConfChangeTransitionAuto',
  implicit: 'ConfChangeTransitionJointImplicit',
  explicit: 'ConfChangeTransitionJointExplicit',
}

/** `propose-conf-change ID [v1=true] [transition=auto|implicit|explicit]`, the changes as input: `v1 l2 r3 u4`. */
function proposeConfChange(env: Environment, stanza: Stanza): void {
  const member = env.member(firstNodeId(stanza.args))
  let isV1 = false
  let transition: ConfChangeTransition = 'ConfChangeTransitionAuto'
  for (const { key, values } of stanza.args.slice(1)) {
    for (const value of values) {
      if (key === 'v1') isV1 = flag(value, 'v1')
      else if (key === 'transition') {
        const known = transitions[value]
        if (known === undefined) throw new Error(`unknown transition ${value}`)
        transition = known
      } else throw new Error(`unknown command ${key}`)
    }
  }
  const changes = parseChanges(stanza.input)
  let change: AnyConfChange = { transition, changes, context: EMPTY_BYTES }
  if (isV1) {
    const [single] = changes
    if (single === undefined || changes.length > 1 || transition !== 'ConfChangeTransitionAuto') {
      throw new Error('v1 conf change can only have one operation and no transition')
    }
    change = { type: single.type, nodeId: single.nodeId, context: EMPTY_BYTES }
  }
  refuse(member.raft.proposeConfChange(change))
}

interface NodesToAdd {
  config: MemberConfig
  readonly voters: number[]
  readonly learners: number[]
  index: number
  content: string
}

/** Limits are off unless asked for; the random part of every election timeout is 0 unless set. */
function addNodes(env: Environment, args: readonly Argument[]): void {
  const count = integer(args[0]?.key, 'the number of nodes')
  const nodes: NodesToAdd = {
    config: {
      electionTick: 3,
      heartbeatTick: 1,
      maxSizePerMsg: NO_LIMIT,
      maxInflightMsgs: 2 ** 31 - 1,
      random: () => 0,
    },
    voters: [],
    learners: [],
    index: 0,
    content: '',
  }
  for (const { key, values } of args.slice(1)) for (const value of values) addOption(nodes, key, value)
  const snapshot: Snapshot = {
    data: encodeUtf8(nodes.content),
    metadata: {
      confState: {
        voters: nodes.voters,
        learners: nodes.learners,
        votersOutgoing: [],
        learnersNext: [],
        autoLeave: false,
      },
      index: nodes.index,
      term: nodes.index > 0 ? 1 : 0,
    },
  }
  env.addNodes(count, nodes.config, snapshot)
}

function addOption(nodes: NodesToAdd, key: string, value: string): void {
  const set = (part: Partial<MemberConfig>): void => {
    nodes.config = { ...nodes.config, ...part }
  }
  const number = (): number => integer(value, key)
  const isOn = (): boolean => flag(value, key)
  const options: Readonly<Record<string, () => unknown>> = {
    voters: () => nodes.voters.push(number()),
    learners: () => nodes.learners.push(number()),
    content: () => {
      nodes.content = value
    },
    index: () => {
      nodes.index = number()
      set({ applied: nodes.index })
    },
    inflight: () => set({ maxInflightMsgs: number() }),
    'async-storage-writes': () => set({ asyncStorageWrites: isOn() }),
    prevote: () => set({ preVote: isOn() }),
    checkquorum: () => set({ checkQuorum: isOn() }),
    'max-committed-size-per-ready': () => set({ maxCommittedSizePerReady: number() }),
    'disable-conf-change-validation': () => set({ disableConfChangeValidation: isOn() }),
    'step-down-on-removal': () => set({ stepDownOnRemoval: isOn() }),
    'read-only': () => {
      if (value !== 'safe' && value !== 'lease-based') throw new Error(`invalid read-only option "${value}"`)
      set({ readOnlyOption: value === 'safe' ? 'ReadOnlySafe' : 'ReadOnlyLeaseBased' })
    },
    // Ours:
    'max-size-per-msg': () => set({ maxSizePerMsg: number() }),
    'max-inflight-bytes': () => set({ maxInflightBytes: number() }),
    'max-uncommitted-size': () => set({ maxUncommittedEntriesSize: number() }),
    'disable-proposal-forwarding': () => set({ disableProposalForwarding: isOn() }),
  }
  const option = options[key]
  if (option === undefined) throw new UsageError(`add-nodes has no ${key}=`)
  option()
}
