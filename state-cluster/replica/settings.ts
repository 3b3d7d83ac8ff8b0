/**
 * The ports, settings and status of a replica.
 *
 * The behaviour is in replica.ts.
 * Invariant: every bound of a replica is here or beside the loop that it bounds, with its unit.
 */
import type { GroupId } from '../../protocol/ids.ts'
import type { Timing } from '../../wire/timing.ts'
import type { WallClocks } from '../peers/peer-clocks.ts'
import type { PeerTransport } from '../peers/peer-transport.ts'
import type { Config } from '../raft/index.ts'
import type { Members } from '../storage/member-record.ts'
import type { Store } from '../storage/store.ts'
import type { Machine } from './applied-state.ts'
import type { RareEvent } from './rare-events.ts'

export interface ReplicaPorts {
  readonly store: Store
  /** What is left for after a turn by all groups of a process runs in one go, so that their writes share a sync. */
  readonly timing: Timing
  /** To the replicas of the same group on other nodes. */
  readonly transport: Pick<PeerTransport, 'send' | 'sendSnapshot'>
  /** The replica has ended and cannot continue; called once. The process is to end. */
  readonly onFatal: (error: Error) => void
  /** Default the auction machine as it is. */
  readonly machine?: Machine
  /** The state's hash as of an index at which all replicas report theirs. */
  readonly onHash?: (index: number, hash: string) => void
  /** Default this machine's alone. */
  readonly wallClocks?: WallClocks
  /** What is rare, for counts and log lines. */
  readonly onRare?: (event: RareEvent) => void
  /** Where the members of this group are, after each change. */
  readonly onMembers?: (members: Members) => void
}

export interface ReplicaSettings {
  /** Raft's clock. Default 25 ms. */
  readonly tickMs: number
  /** Ticks between a leader's heartbeats. Default 2. */
  readonly heartbeatTicks: number
  /** Ticks without a leader before an election, up to twice as many. Default 12. */
  readonly electionTicks: number
  /** Commands that may wait, queued and in flight together; beyond: `overloaded`. Default 20,000. */
  readonly commandsMax: number
  /** Bytes of the commands that wait, at the most that they can take in the log. Default 64 MiB. */
  readonly commandBytesMax: number
  /** How long a command waits for its reply. Default 5 s. */
  readonly proposalTimeoutMs: number
  /** Entries that are proposed and not yet applied; while so many are, commands gather for the next. Default 4. */
  readonly entriesInFlightMax: number
  /** Commands in one entry. Default 1,000. */
  readonly commandsPerEntryMax: number
  /** Bytes of one entry, unless one command alone is bigger. Default 1 MiB. */
  readonly entryBytesMax: number
  /** The end of the log that stays in memory, and on the disk after compaction. Default 16 MiB. */
  readonly logTailBytesMax: number
  /** Of the log before that, what a leader keeps on the disk for members that lag. Default 1 GiB. */
  readonly logKeptBytesMax: number
  /** How long after the last sign of life of a member it does so. Default 60 s. */
  readonly memberSilenceMs: number
  /** For how long a snapshot whose transfer broke may go on where it was. Default 30 s. */
  readonly snapshotResumeMs: number
  /** Unsaved rows and events at which a checkpoint begins. Default 50,000. */
  readonly checkpointRows: number
  /** Bytes of log at which one begins. Default 32 MiB. */
  readonly checkpointBytes: number
  /** Age of the last one at which one begins, if anything changed. Default 30 s. */
  readonly checkpointMs: number
  /** A lone voter starts whatever its machine's clock shows. Default false. */
  readonly acceptClock: boolean
}

export const defaultReplicaSettings: ReplicaSettings = {
  tickMs: 25,
  heartbeatTicks: 2,
  electionTicks: 12,
  commandsMax: 20_000,
  commandBytesMax: 64 * 2 ** 20,
  proposalTimeoutMs: 5_000,
  entriesInFlightMax: 4,
  commandsPerEntryMax: 1_000,
  entryBytesMax: 2 ** 20,
  logTailBytesMax: 16 * 2 ** 20,
  logKeptBytesMax: 2 ** 30,
  memberSilenceMs: 60_000,
  snapshotResumeMs: 30_000,
  checkpointRows: 50_000,
  checkpointBytes: 32 * 2 ** 20,
  checkpointMs: 30_000,
  acceptClock: false,
}

/** Bytes of entries that are applied in one turn, so that a long replay lets others in. */
const applyBytesPerTurn = 256 * 1024
/** Bytes of a leader's uncommitted entries; beyond, commands stay queued. */
const uncommittedBytesMax = 64 * 2 ** 20

/** How a replica runs Raft. */
export function raftSettingsOf(settings: ReplicaSettings): Omit<Config, 'id' | 'storage' | 'random'> {
  const { electionTicks, heartbeatTicks, entryBytesMax } = settings
  return {
    electionTick: electionTicks,
    heartbeatTick: heartbeatTicks,
    asyncStorageWrites: true,
    maxSizePerMsg: entryBytesMax,
    maxCommittedSizePerReady: applyBytesPerTurn,
    maxUncommittedEntriesSize: uncommittedBytesMax,
    maxInflightMsgs: 256,
    maxInflightBytes: 16 * entryBytesMax,
    checkQuorum: true,
    preVote: true,
    disableProposalForwarding: true,
    stepDownOnRemoval: true,
  }
}

export interface ReplicaStart {
  readonly groupId: GroupId
  /** This node's Raft id, > 0. */
  readonly nodeId: number
  readonly settings: ReplicaSettings
  readonly ports: ReplicaPorts
  /** Progress of a start: rows of the checkpoint, then entries of the log after it. */
  readonly onProgress?: (progress: ReplicaProgress) => void
}

export interface ReplicaProgress {
  readonly phase: 'rows' | 'entries'
  readonly done: number
  /** Of entries; unknown for rows. */
  readonly total?: number
}

export interface ReplicaStatus {
  readonly isLeader: boolean
  /** Raft id of the leader; 0: none known. */
  readonly leader: number
  /** Whether commands are taken: it leads and has applied what was there before. */
  readonly ready: boolean
  readonly term: number
  readonly commitIndex: number
  readonly appliedIndex: number
  readonly firstIndex: number
  readonly lastIndex: number
  readonly checkpointIndex: number
  /** A snapshot is being taken over: nothing is read here until it is. */
  readonly isInstalling: boolean
  readonly queuedCommands: number
  readonly inFlightCommands: number
  readonly inFlightEntries: number
  /** Committed entries that wait to be applied. */
  readonly unappliedEntries: number
}
