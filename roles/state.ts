/**
 * `martillo state`: one node of the state cluster.
 * Invariant: it listens only after its folder is open and its state is loaded. It hands over what it leads before
 * it stops. Source: docs/design.md, "Processes"; docs/spec.md NODE1 to NODE3.
 */
import {
  type ConfigOf,
  configSection,
  flag,
  integer,
  type LoadedConfig,
  list,
  text,
} from '../runtime/config.ts'
import type { Metrics } from '../runtime/metrics.ts'
import {
  defaultReplicaSettings,
  hasRoom,
  type NodeGroupStatus,
  openStateNode,
  type StateNode,
} from '../state-cluster/index.ts'
import { type Address, formatAddress } from '../wire/stream.ts'
import { refuseUnprotected, type TcpOptions } from '../wire/tcp.ts'
import { openHealth } from './health.ts'
import { type OnRare, rareEvents } from './rare-events.ts'
import { ResumingNode } from './resuming-node.ts'
import { defineRole, type RoleOptions } from './role.ts'
import {
  acceptClockSetting,
  addressOf,
  clusterSection,
  healthTokensOf,
  roleSection,
  secretSection,
  tcpOptionsOf,
  tlsSection,
  warnIfOpen,
} from './settings.ts'

const nodeIdMax = 2 ** 31 - 1

export const stateNodeSection = configSection(
  'state',
  {
    host: { is: text().default('127.0.0.1'), doc: 'Address to listen on' },
    port: { is: integer(0, 65_535).default(8080), doc: 'Port to listen on; 0 picks a free one' },
    dataDir: { is: text().default('./data'), doc: 'Folder of everything that must survive a restart' },
    groupCount: {
      is: integer(1, 1024).default(1),
      doc: 'Raft groups of a new data folder; an existing one keeps its number',
    },
    nodeId: {
      is: integer(0, nodeIdMax).default(0),
      doc: 'Number of this state node, from 1; no two nodes of a cluster ever have the same',
    },
    members: {
      is: list(isMember, 'must be number=host:port').default([]),
      doc: 'All members of a new cluster, this node included, as 1=host:port,2=host:port; the same on each. To join: those that are there',
    },
    logTailBytesMax: {
      is: integer(2 ** 16, 2 ** 32).default(defaultReplicaSettings.logTailBytesMax),
      doc: 'Bytes of the end of the log that stay in memory and on the disk',
    },
    logKeptBytesMax: {
      is: integer(0, 2 ** 40).default(defaultReplicaSettings.logKeptBytesMax),
      doc: 'Bytes of log that a leader keeps on its disk for nodes that lag; beyond, they get a snapshot',
    },
    memberSilenceMs: {
      is: integer(0, 86_400_000).default(defaultReplicaSettings.memberSilenceMs),
      doc: 'How long a leader keeps log for a node that is silent',
    },
    join: {
      is: flag().default(false),
      doc: 'This node enters a cluster that exists: it begins empty and waits for `martillo state join`',
    },
    acceptClock: acceptClockSetting,
  },
  [
    { reason: 'nodeId is missing: give --node-id', holds: ({ nodeId }) => nodeId > 0 },
    {
      reason: 'members do not name this node: give --members 1=host:port,2=host:port,3=host:port, or --join',
      holds: ({ members, nodeId, join }) => join || members.some((entry) => memberOf(entry)?.[0] === nodeId),
    },
    {
      reason: 'members name a number twice',
      holds: ({ members }) => new Set(members.map((entry) => memberOf(entry)?.[0])).size === members.length,
    },
  ],
)

export const stateSections = {
  process: roleSection,
  state: stateNodeSection,
  cluster: clusterSection,
  secret: secretSection,
  tls: tlsSection,
}

/** `1=host:port`. */
export function memberOf(entry: string): [nodeId: number, address: Address] | undefined {
  const [, id, text] = /^(\d{1,10})=(.+)$/.exec(entry) ?? []
  const address = text === undefined ? undefined : addressOf(text)
  const nodeId = Number(id)
  return address === undefined || nodeId < 1 || nodeId > nodeIdMax ? undefined : [nodeId, address]
}

function isMember(entry: string): boolean {
  return memberOf(entry) !== undefined
}

/** Members that their section has checked. */
function membersOf(checked: readonly string[]): [nodeId: number, address: Address][] {
  return checked.map((entry) => memberOf(entry) as [number, Address])
}

/** Faults of one node's data that the other nodes can repair. */
const curable: ReadonlySet<string> = new Set([
  'corrupt',
  'state_differs',
  'data_lost',
  'data_damaged',
  'old_copy',
])

/** Why this node has ended, and what to do. */
export class NodeEndError extends Error {
  override readonly name = 'NodeEndError'
  readonly code: string
  readonly retryable = false

  constructor(code: string, message: string, options: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** The error with the command that repairs the node, where the other nodes can do that. */
function withAdvice(
  error: unknown,
  { nodeId, members, dataDir }: ConfigOf<typeof stateNodeSection.settings>,
): Error {
  const { code, message } = error as { readonly code?: string; readonly message?: string }
  const others = membersOf(members).filter(([id]) => id !== nodeId)
  if (code === undefined || !curable.has(code) || others.length === 0) {
    return error instanceof Error ? error : new Error(String(error))
  }
  const nodes = others.map(([, address]) => formatAddress(address)).join(',')
  const cure = `martillo state rebuild ${nodeId} --data ${dataDir} --state ${nodes}`
  const text = `${message}; nothing is served from ${dataDir}. Bring the node back from the others: ${cure}`
  return new NodeEndError(code, text, { cause: error })
}

export const stateRole = defineRole({
  name: 'state',
  sections: stateSections,
  logLevel: 'info',
  async start(options) {
    const { config, logger, metrics } = options
    const { dataDir, nodeId } = config.state
    const tcp = await tcpOptionsOf(config)
    refuseUnprotected(config.state, tcp)
    warnIfOpen(logger, tcp)
    const onRare = rareEvents(options)
    const note: Note = (event, facts) => {
      const level = /^(clock|house_time)/.test(event) ? 'warn' : 'info'
      logger[level](event, facts)
    }
    const resuming = await ResumingNode.open({
      open: (port, onFatal) => openStateNode(nodeOptions(options, { tcp, port, onFatal, note, onRare })),
      port: config.state.port,
      dataDir,
      hasRoom,
      clock: options.clock,
      logger,
      onFatal: (error) => options.onFatal(withAdvice(error, config.state)),
    }).catch((error: unknown) => {
      throw withAdvice(error, config.state)
    })
    measureNode(metrics, () => resuming.node)
    const health = await openHealth(config.process, {
      metrics,
      isReady: () => resuming.node?.isReady() ?? false,
      tokens: healthTokensOf(config.process, tcp.secrets ?? []),
      backup: () => resuming.node?.backup(),
      status: () => statusOf(nodeId, resuming.node),
    }).catch(async (error: unknown) => {
      await resuming.close()
      throw error
    })
    const { host, port, clusterId } = resuming
    logger.info('state_listening', { nodeId, clusterId, host, port, dataDir })
    const url = `tcp://${host}:${port}`
    return {
      facts: { url, nodeId, clusterId, host, port, dataDir, ...(health && { healthUrl: health.url }) },
      async stop() {
        // The health port stays open during the hand-over: a node that stops is alive.
        await resuming.close()
        health?.close()
        return []
      },
    }
  },
})

type Options = RoleOptions<LoadedConfig<typeof stateSections>>
type Note = Parameters<typeof openStateNode>[0]['note']

/** What a node's own settings do not say. */
interface OwnOptions {
  readonly tcp: TcpOptions
  readonly port: number
  readonly onFatal: (error: Error) => void
  readonly note: Note
  readonly onRare: OnRare
}

function nodeOptions(
  { config, clock, onProgress }: Options,
  own: OwnOptions,
): Parameters<typeof openStateNode>[0] {
  const { host, dataDir, groupCount, nodeId, members, join } = config.state
  const { cluster } = config.cluster
  const { logTailBytesMax, logKeptBytesMax, memberSilenceMs, acceptClock } = config.state
  return {
    dataDir,
    nodeId,
    listen: { host, port: own.port },
    members: new Map(membersOf(members)),
    isJoining: join,
    cluster,
    groupCount,
    clock,
    settings: { logTailBytesMax, logKeptBytesMax, memberSilenceMs, acceptClock },
    tcp: own.tcp,
    onProgress,
    onFatal: own.onFatal,
    note: own.note,
    onRare: own.onRare,
  }
}

/** `node` is undefined while the disk is full. */
function statusOf(nodeId: number, node: StateNode | undefined): object {
  if (node === undefined) return { nodeId, aside: true, groups: [], peers: [], state: [] }
  const { clusterId } = node
  return {
    nodeId,
    clusterId,
    groups: node.groups(),
    peers: node.peers(),
    state: node.status().groups,
  }
}

function measureNode(metrics: Metrics, node: () => StateNode | undefined): void {
  const sum = (figure: (group: NodeGroupStatus) => number) => () =>
    (node()?.groups() ?? []).reduce((total, group) => total + figure(group), 0)
  const gauges: readonly [name: string, help: string, read: () => number][] = [
    [
      'ready_ratio',
      '1 while every group has a leader that this node follows or is.',
      () => +(node()?.isReady() ?? false),
    ],
    ['leading_items', 'Groups that this node leads.', sum((group) => +group.isLeader)],
    [
      'unapplied_entries',
      'Committed entries that wait to be applied.',
      sum((group) => group.unappliedEntries),
    ],
    [
      'log_entries',
      'Entries of the log on the disk.',
      sum((group) => group.lastIndex - group.firstIndex + 1),
    ],
    [
      'leader_house_offset_seconds',
      'House time less agreed time, in the group that this node leads where that is most; 0: not known.',
      () => (node()?.load().houseOffsetMs ?? 0) / 1_000,
    ],
    ['disk_bytes', 'Size of the data file.', () => node()?.load().disk.fileBytes ?? 0],
  ]
  metrics.gauge({
    name: 'martillo_clock_offset_seconds',
    help: "This machine's wall clock less what a majority of the nodes' clocks agrees on; 0: not known.",
    read: () => (node()?.load().clockOffsetMs ?? 0) / 1_000,
  })
  for (const [name, help, read] of gauges) metrics.gauge({ name: `martillo_state_${name}`, help, read })
}
