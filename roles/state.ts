/**
 * `martillo state`: one node of the state cluster. Invariant: it listens only after its folder is open and its
 * state is loaded, and stops by handing over what it leads. Environment, signals and exits are main.ts's.
 * Source: docs/design.md, "Processes"; docs/spec.md NODE1 to NODE3.
 */
import type { Clock } from '../runtime/clock.ts'
import { type ConfigOf, configSection, type LoadedConfig } from '../runtime/config.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Metrics } from '../runtime/metrics.ts'
import {
  type Address,
  formatAddress,
  hasRoom,
  type NodeGroupStatus,
  openStateNode,
  type StartProgress,
  type StateNode,
  StoreError,
} from '../state-cluster/index.ts'
import { openHealth } from './health.ts'
import { addressOf, clusterSection, roleSection, tcpOptionsOf, tlsSection } from './settings.ts'

const nodeIdMax = 2 ** 31 - 1
/** How often a node that stepped aside looks for space. */
const spaceLookMs = 1_000

export const stateNodeSection = configSection(
  'state',
  {
    host: { kind: 'text', default: '127.0.0.1', doc: 'Address to listen on' },
    port: {
      kind: 'integer',
      min: 0,
      max: 65_535,
      default: 8080,
      doc: 'Port to listen on; 0 picks a free one',
    },
    dataDir: { kind: 'text', default: './data', doc: 'Folder of everything that must survive a restart' },
    groupCount: {
      kind: 'integer',
      min: 1,
      max: 1024,
      default: 1,
      doc: 'Raft groups of a new data folder; an existing one keeps its number',
    },
    nodeId: {
      kind: 'integer',
      min: 0,
      max: nodeIdMax,
      default: 0,
      doc: 'Number of this state node, from 1; no two nodes of a cluster ever have the same',
    },
    members: {
      kind: 'list',
      default: [],
      doc: 'All members of a new cluster, this node included, as 1=host:port,2=host:port; the same on each. To join: those that are there',
      fault: (entry) => (memberOf(entry) === undefined ? 'must be number=host:port' : undefined),
    },
    join: {
      kind: 'boolean',
      default: false,
      doc: 'This node enters a cluster that exists: it begins empty and waits for `martillo state join`',
    },
  },
  [
    { reason: 'nodeId is missing: give --node-id', holds: ({ nodeId }) => nodeId > 0 },
    {
      reason: 'members name this node, or whoever joins: give --members 1=host:port,2=host:port,3=host:port',
      holds: ({ members, nodeId, join }) => join || members.some((entry) => memberOf(entry)?.[0] === nodeId),
    },
    {
      reason: 'a number stands twice in members',
      holds: ({ members }) => new Set(members.map((entry) => memberOf(entry)?.[0])).size === members.length,
    },
  ],
)

export const stateSections = {
  process: roleSection,
  state: stateNodeSection,
  cluster: clusterSection,
  tls: tlsSection,
}

/** `1=host:port`. */
export function memberOf(entry: string): [nodeId: number, address: Address] | undefined {
  const [, id, text] = /^(\d{1,10})=(.+)$/.exec(entry) ?? []
  const address = text === undefined ? undefined : addressOf(text)
  const nodeId = Number(id)
  return address === undefined || nodeId < 1 || nodeId > nodeIdMax ? undefined : [nodeId, address]
}

/** What one node alone cannot mend; the others can. */
const curable: ReadonlySet<string> = new Set(['corrupt', 'state_differs', 'data_lost', 'old_copy'])

/** This node has ended, and what to do. */
export class NodeEndError extends Error {
  override readonly name = 'NodeEndError'
  readonly code: string
  readonly retryable = false

  constructor(code: string, message: string, options: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** The error with what to do about it, where the other nodes can help. */
function advised(
  error: unknown,
  { nodeId, members, dataDir }: ConfigOf<typeof stateNodeSection.settings>,
): Error {
  const { code, message } = error as { readonly code?: string; readonly message?: string }
  const others = members.map((entry) => memberOf(entry) as [number, Address]).filter(([id]) => id !== nodeId)
  if (code === undefined || !curable.has(code) || others.length === 0) {
    return error instanceof Error ? error : new Error(String(error))
  }
  const nodes = others.map(([, address]) => formatAddress(address)).join(',')
  const cure = `martillo state rebuild ${nodeId} --data ${dataDir} --state ${nodes}`
  const text = `${message}; nothing is served from ${dataDir}. Bring the node back from the others: ${cure}`
  return new NodeEndError(code, text, { cause: error })
}

export interface StateRoleOptions {
  readonly config: LoadedConfig<typeof stateSections>
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly onProgress: (progress: StartProgress) => void
  /** Nothing is answered any more: end the process. */
  readonly onFatal: (error: Error) => void
}

export interface RunningRole {
  /** What the first line says beside its event. */
  readonly facts: Readonly<Record<string, unknown>>
  /** Resolves with the faults of what would not stop. */
  stop(): Promise<readonly Error[]>
}

export async function startState(options: StateRoleOptions): Promise<RunningRole> {
  const { config, clock, logger, metrics } = options
  const { host, port, dataDir, groupCount, nodeId, members, join } = config.state
  const { clusterSecret, cluster } = config.cluster
  const { healthPort, healthHost } = config.process
  const tcp = await tcpOptionsOf(config.tls)
  let isAside = false
  let listenPort = port
  let isStopping = false
  const open = async (): Promise<StateNode> =>
    await openStateNode({
      dataDir,
      nodeId,
      listen: { host, port: listenPort },
      members: new Map(members.map((entry) => memberOf(entry) as [number, Address])),
      isJoining: join,
      cluster,
      groupCount,
      clock,
      tcp,
      ...(clusterSecret === undefined ? {} : { secret: clusterSecret }),
      onProgress: options.onProgress,
      onFatal(error) {
        // Nothing was written half: this node leaves its place to the others, and comes back when there is space.
        if (error instanceof StoreError && error.isStoreIntact) void stepAside(error)
        else options.onFatal(advised(error, config.state))
      },
      note: (event, facts) => logger.info(event, facts),
    })
  const stepAside = async (error: StoreError): Promise<void> => {
    isAside = true
    logger.error('stepped_aside', { reason: error.message })
    await node.close()
    while (!isStopping && isAside) {
      await new Promise<void>((resolve) => {
        clock.setTimer(spaceLookMs, resolve)
      })
      if (isStopping || !hasRoom(dataDir)) continue
      try {
        node = await open()
        isAside = false
        logger.info('came_back', { dataDir })
      } catch (failure) {
        if (!(failure instanceof StoreError && failure.isStoreIntact)) {
          options.onFatal(advised(failure, config.state))
          return
        }
      }
    }
  }
  let node = await open().catch((error: unknown) => {
    throw advised(error, config.state)
  })
  // Where it was found once, it is looked for again.
  listenPort = node.address.port
  nodeMetrics(metrics, () => (isAside ? undefined : node))
  const health =
    healthPort === undefined
      ? undefined
      : await openHealth({
          host: healthHost,
          port: healthPort,
          metrics,
          isReady: () => !isAside && node.isReady(),
          backup: {
            isAllowed: (remote, secret) => node.isAllowed(remote, secret),
            open: () => node.backup(),
          },
          status: () =>
            isAside
              ? { nodeId, aside: true, groups: [], peers: [], state: [] }
              : {
                  nodeId,
                  clusterId: node.clusterId,
                  groups: node.groups(),
                  peers: node.peers(),
                  state: node.status().groups,
                },
        }).catch(async (error: unknown) => {
          await node.close()
          throw error
        })
  const { address, clusterId } = node
  const facts = {
    url: `tcp://${address.host}:${address.port}`,
    nodeId,
    clusterId,
    host: address.host,
    port: address.port,
    dataDir,
    ...(health === undefined ? {} : { healthUrl: health.url }),
  }
  logger.info('state_listening', { nodeId, clusterId, host: address.host, port: address.port, dataDir })
  return {
    facts,
    async stop() {
      isStopping = true
      await node.close()
      health?.close()
      return []
    },
  }
}

function nodeMetrics(metrics: Metrics, node: () => StateNode | undefined): void {
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
    ['disk_bytes', 'Size of the data file.', () => node()?.load().disk.fileBytes ?? 0],
  ]
  for (const [name, help, read] of gauges) metrics.gauge({ name: `martillo_state_${name}`, help, read })
}
