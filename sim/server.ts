/**
 * One server process: production link, conductor, publisher and a feed reader.
 *
 * The feed is read as the fan-out reads it.
 *
 * Invariant: bidders reach the machine only through here; every event of the feed is compared with the ledger, and
 * an event that the feed leaves out must be in a gap that it reported.
 */
import { startHeartbeats } from '../monitor/index.ts'
import type { AuctionId, GroupId, ServerId } from '../protocol/ids.ts'
import type { NotificationMessage } from '../protocol/notifications.ts'
import type { Random } from '../runtime/random.ts'
import { GroupDuties } from '../server/duties/group-duties.ts'
import { publicEventFrame } from '../server/frames.ts'
import {
  ClusterError,
  type ClusterErrorCode,
  type FeedBatch,
  type FeedGap,
} from '../state-cluster/cluster.ts'
import type { RemoteCluster } from '../state-cluster/link/client/remote.ts'
import type { Command } from '../state-cluster/machine/commands.ts'
import { isPublic, type PublicEvent, type Reply } from '../state-cluster/machine/events.ts'
import type { AuctionView } from '../state-cluster/machine/view.ts'
import { isSame } from './checks.ts'
import type { HostClock } from './clock.ts'
import { LinkedProcess } from './linked-process.ts'
import type { Process } from './process.ts'
import type { RunContext } from './run-context.ts'
import { noCount, noMeasure, silent } from './silent.ts'

const groupId = 0 as GroupId

/** How far the feed has come in one auction. */
interface FeedPosition {
  seq: number
  epoch: number
  /** The feed reported a gap, and the events were not read again yet. */
  hasGap: boolean
}

interface ServerParts {
  readonly id: string
  readonly host: string
  readonly clock: HostClock
  readonly random: Random
  readonly published: Set<string>
}

export class SimServer extends LinkedProcess {
  protected readonly role = 'server'
  readonly id: ServerId
  cluster: RemoteCluster | undefined
  /** Messages that the queue accepted: kind, auction, recipient. */
  readonly published: Set<string>
  positions = new Map<string, FeedPosition>()
  /** Ends the parts in order. */
  #ending: (() => Promise<void>) | undefined

  constructor(context: RunContext, { id, host, clock, random, published }: ServerParts) {
    super(context, host, clock, random)
    this.id = id as ServerId
    this.published = published
  }

  override crash(): void {
    super.crash()
    this.cluster = undefined
    this.#ending = undefined
    this.positions = new Map()
  }

  /**
   * A planned stop: announces it, releases what it owns, ends, then calls `stopped`, unless the process dies
   * before.
   */
  stop(stopped: () => void): void {
    const { process, cluster } = this
    const ending = this.#ending
    if (process === undefined || cluster === undefined || ending === undefined) return
    process.enter(() => {
      ending()
        .then(() => {
          if (process !== this.process) return
          this.crash()
          stopped()
        })
        .catch((error) => this.context.fail(error))
    })
  }

  /** A client's command has reached this server. `answer` is called in it, unless the server dies before. */
  receive(command: Command, answer: (outcome: Reply | ClusterErrorCode) => void): void {
    const { process } = this
    process?.enter(() => {
      const { cluster } = this
      if (cluster === undefined) return answer('unavailable')
      cluster.propose(groupId, command).then(
        (reply) => process.isAlive && answer(reply),
        (error) => {
          if (error instanceof ClusterError) answer(error.code)
          else this.context.fail(error)
        },
      )
    })
  }

  /** Reads an auction, linearizably; `answer` gets it, or `undefined` where it is not there. */
  read(auctionId: AuctionId, answer: (view: AuctionView | undefined) => void): void {
    const { process, cluster } = this
    if (process === undefined || cluster === undefined) return
    process.enter(() => {
      cluster
        .readBarrier(groupId)
        .then(() => cluster.auction(auctionId))
        .then(
          (view) => process.isAlive && answer(view),
          (error) => {
            if (!(error instanceof ClusterError)) this.context.fail(error)
          },
        )
    })
  }

  protected begin(process: Process, cluster: RemoteCluster): void {
    const { context } = this
    this.cluster = cluster
    const { clock, random } = process.timing
    const duties = new GroupDuties({
      cluster,
      clock,
      random,
      logger: silent,
      metrics: {
        conducted: noCount,
        conductLateSeconds: noMeasure,
        notifications: noCount,
        notificationFailures: noCount,
      },
      sink: { publish: (messages) => this.#publish(process, messages) },
      serverId: this.id,
      groupId,
      windowMax: 64,
      fault: (error) => context.fail(error),
    })
    const unsubscribe = cluster.subscribe(
      groupId,
      (batch) => {
        this.#fed(process, cluster, batch)
        duties.observe(batch)
      },
      (gap) => {
        this.#missed(process, cluster, gap)
        duties.missed()
      },
    )
    duties.start()
    const heartbeats = startHeartbeats({
      monitors: context.monitorAddresses(),
      serverId: this.id,
      instance: process.name,
      dial: context.wires.dial(this.host),
      timing: process.timing,
      load: () => ({
        sockets: 0,
        epochs: duties.epoch === undefined ? [] : [{ groupId, epoch: duties.epoch }],
      }),
    })
    this.#ending = async () => {
      heartbeats.leave()
      await duties.release()
      unsubscribe()
      this.cluster = undefined
      await cluster.close()
      heartbeats.close()
    }
  }

  /** The queue: slow, and not always there. */
  #publish(process: Process, messages: readonly NotificationMessage[]): Promise<void> {
    const { random } = this
    return new Promise((resolve, reject) => {
      process.after(1 + random.below(20), () => {
        if (random.chance(0.02)) return reject(new Error('the queue does not answer'))
        for (const { event } of messages) {
          const { kind, auction, recipient } = event.data
          this.published.add(`${kind} ${auction?.id ?? ''} ${recipient}`)
        }
        resolve()
      })
    })
  }

  // ── The feed ─────────────────────────────────────────────────────────────────────────────────────────

  #fed(process: Process, cluster: RemoteCluster, batch: FeedBatch): void {
    for (const event of batch.events) {
      if (!isPublic(event)) continue
      const position = this.positions.get(event.auctionId)
      if (position !== undefined && event.seq > position.seq + 1) {
        if (!position.hasGap) {
          this.context.checks.violate(
            'the feed reports every gap',
            `${process.name} received ${JSON.stringify(event)} after seq ${position.seq}`,
          )
        }
        this.#readAgain(process, cluster, event.auctionId, position)
        continue
      }
      this.#take(process, event)
    }
  }

  #take(process: Process, event: PublicEvent): void {
    const known = this.context.ledger.events.get(event.auctionId)?.[event.seq - 1]
    this.context.checks.hold(
      known !== undefined && isSame(publicEventFrame(known), publicEventFrame(event)),
      'one order',
      () => `${process.name} received ${JSON.stringify(event)}, committed is ${JSON.stringify(known)}`,
    )
    const position = this.positions.get(event.auctionId)
    if (position === undefined)
      this.positions.set(event.auctionId, { seq: event.seq, epoch: event.epoch, hasGap: false })
    else if (event.seq > position.seq) {
      position.seq = event.seq
      position.epoch = event.epoch
    }
  }

  #missed(process: Process, cluster: RemoteCluster, _gap: FeedGap): void {
    this.context.counts.add('feed.gaps')
    for (const [auctionId, position] of this.positions) {
      position.hasGap = true
      this.#readAgain(process, cluster, auctionId as AuctionId, position)
    }
  }

  #readAgain(process: Process, cluster: RemoteCluster, auctionId: AuctionId, position: FeedPosition): void {
    const { seq, epoch } = position
    cluster.eventsSince(auctionId, { seq, epoch }, 10_000).then(
      (events) => {
        if (!process.isAlive) return
        position.hasGap = false
        for (const event of events ?? []) if (event.seq > position.seq) this.#take(process, event)
      },
      (error) => {
        if (!(error instanceof ClusterError)) this.context.fail(error)
        else process.after(100, () => this.#readAgain(process, cluster, auctionId, position))
      },
    )
  }
}
