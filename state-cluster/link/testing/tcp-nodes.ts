/**
 * State nodes and link clients over TCP, for tests of the link.
 *
 * The nodes share one log (fake-cluster.ts); connections, handshakes and frames are the real ones.
 * Invariant: `closeAll` closes everything that was given to `keep`, the last first. Source: docs/style.md, "Tests".
 */
import type { AuctionId, GroupId } from '../../../protocol/ids.ts'
import { Acceptor } from '../../../wire/acceptor.ts'
import type { Address } from '../../../wire/stream.ts'
import { type TcpOptions, tcpDial, tcpListen } from '../../../wire/tcp.ts'
import { helloOf, quickLimits } from '../../../wire/testing/fixtures.ts'
import { systemTiming } from '../../../wire/timing.ts'
import type { FeedBatch, FeedGap } from '../../cluster.ts'
import { isPublic, type Reply } from '../../machine/events.ts'
import { group } from '../../peers/testing/fixtures.ts'
import {
  connectCluster,
  type RemoteCluster,
  type RemoteClusterOptions,
  type RemoteLimits,
} from '../client/remote.ts'
import { LinkService, type LinkServiceOptions } from '../service/service.ts'
import { FakeCluster, type FakeNode, placeBid } from './fake-cluster.ts'

export interface TestNodeOptions {
  readonly service?: Partial<LinkServiceOptions>
  readonly tcp?: TcpOptions
  readonly port?: number
}

/** One state node that listens. */
export class TestNode {
  readonly node: FakeNode
  readonly service: LinkService
  readonly acceptor: Acceptor
  readonly faults: string[]

  private constructor(node: FakeNode, service: LinkService, acceptor: Acceptor, faults: string[]) {
    this.node = node
    this.service = service
    this.acceptor = acceptor
    this.faults = faults
  }

  static async open(node: FakeNode, options: TestNodeOptions = {}): Promise<TestNode> {
    const faults: string[] = []
    const service = new LinkService({
      backend: node,
      timing: systemTiming,
      fault: (_remote, cause) => faults.push(cause.code),
      ...options.service,
    })
    const acceptor = await Acceptor.open({
      listen: tcpListen(options.tcp),
      address: { host: '127.0.0.1', port: options.port ?? 0 },
      timing: systemTiming,
      limits: quickLimits,
      hello: helloOf('node', node.nodeId),
      owners: { link: service },
      connectionsMax: 50,
      failed: (cause) => faults.push(cause.code),
    })
    return new TestNode(node, service, acceptor, faults)
  }

  get address(): Address {
    return this.acceptor.address
  }

  async close(): Promise<void> {
    this.service.close()
    await this.acceptor.close()
  }
}

interface Closable {
  close(): Promise<void> | void
}

const opened: Closable[] = []

/** Closes it in `closeAll`. */
export function keep<T extends Closable>(thing: T): T {
  opened.push(thing)
  return thing
}

export async function closeAll(): Promise<void> {
  for (const thing of opened.splice(0).reverse()) await thing.close()
}

export interface TestNodes {
  readonly fake: FakeCluster
  readonly nodes: TestNode[]
}

export async function openNodes(
  nodeCount = 3,
  groupCount = 1,
  service: Partial<LinkServiceOptions> = {},
): Promise<TestNodes> {
  const fake = new FakeCluster(nodeCount, groupCount)
  const nodes: TestNode[] = []
  for (const node of fake.nodes) nodes.push(keep(await TestNode.open(node, { service })))
  return { fake, nodes }
}

export async function openLink(
  nodes: readonly Address[],
  limits: Partial<RemoteLimits> = {},
  options: Partial<RemoteClusterOptions> = {},
): Promise<RemoteCluster> {
  return keep(
    await connectCluster({
      nodes,
      dial: tcpDial(),
      timing: systemTiming,
      instance: 'test',
      principal: 'tool:test',
      limits: { connection: quickLimits, backoff: { baseMs: 5, maxMs: 50 }, statusMs: 50, ...limits },
      ...options,
    }),
  )
}

export const addressesOf = ({ nodes }: TestNodes): Address[] => nodes.map((node) => node.address)
export const zero = group(0)
export const lot = 'lot' as AuctionId

/** Records the batches and gaps of a feed, in order. */
export class Listener {
  readonly batches: FeedBatch[] = []
  readonly gaps: FeedGap[] = []

  constructor(cluster: RemoteCluster, groupId: GroupId = zero) {
    cluster.subscribe(
      groupId,
      (batch) => this.batches.push(batch),
      (gap) => this.gaps.push(gap),
    )
  }

  /** `seq` of the public events of an auction. */
  seqs(auctionId: AuctionId = lot): number[] {
    const events = this.batches.flatMap((batch) => batch.events)
    return events
      .filter((event) => event.auctionId === auctionId)
      .filter(isPublic)
      .map((event) => event.seq)
  }
}

export const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, at) => from + at)

/** Bids number `from` to `to` on `lot`, in one turn, each higher than the one before. */
export async function bids(cluster: RemoteCluster, from: number, to: number): Promise<Reply[]> {
  const groupId = cluster.groupOf(lot)
  return await Promise.all(
    range(from, to).map((at) => cluster.propose(groupId, placeBid(lot, `bidder-${at % 7}`, at * 20_000))),
  )
}
