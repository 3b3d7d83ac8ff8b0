/**
 * From the feed to the sockets: who watches which auction, and how each gets its events in order.
 * Invariant: after its snapshot, or the `since` that was honoured, a subscription gets every public event once,
 * in order of `seq`; where some are left out for a slow reader, a `resync` stands in their place.
 *
 *   reading ──► replaying ⇄ blocked            reading: the snapshot or the history is being read
 *                   │          (client slow)   replaying: missed events are sent page by page
 *                   ▼                          waiting: up to date; the next event makes it live
 *     lagging ◄── waiting ──► live             live: the carrier publishes to it, one sweep a turn
 *        │  ▲                   │              lagging: did not read; gets the latest when it does
 *        │  └───────────────────┘ dropped
 *        └──────────────────────► live
 *
 * A subscription joins the published stream between two events, never in the middle of a read, so that nothing
 * has to be buffered for it and nothing can be sent twice. Source: docs/protocol.md, "WebSocket"; spec FLOW.
 */
import type { FrameId } from '../../protocol/client-frames.ts'
import { type EncodedFrame, encodeServerFrame } from '../../protocol/encode.ts'
import type { AuctionId } from '../../protocol/ids.ts'
import { resumedEventsMax } from '../../protocol/limits.ts'
import { jsonSubprotocol } from '../../protocol/subprotocols.ts'
import type { Clock } from '../../runtime/clock.ts'
import {
  type AuctionView,
  type Cluster,
  type FeedBatch,
  isPublic,
  type Position,
  type PublicEvent,
  type Standing,
} from '../../state-cluster/index.ts'
import { hasRole } from '../access/auth.ts'
import { privateEventFrame, publicEventFrame, wireView } from '../frames.ts'
import { EventTail, eventsMax, type TailEvent } from './event-tail.ts'
import type { SocketSession } from './socket-session.ts'
import type { SubscriptionOf, TopicOf } from './subscription.ts'

type Subscription = SubscriptionOf<SocketSession>
type Topic = TopicOf<SocketSession>

/** A message to a topic: the event that it carries, or the first of those that it stands for. */
export interface Published {
  readonly auctionId: AuctionId
  readonly seq: number
}

/** What a slow reader gets when it reads again: usually the latest price and what went with it. */
const rejoinedMax = 4
const replayPageMax = 256

export interface FanOutContext {
  readonly cluster: Cluster
  readonly clock: Clock
  readonly subscriptionsMax: number
  readonly publish: (topic: string, message: string | Uint8Array) => void
  /** Calls when everything published before now has been handed to the sockets. */
  readonly afterSweep: (work: () => void) => void
  /** A read of the cluster failed: the frame is answered, or, when it was already, the session ended. */
  readonly readFailed: (session: SocketSession, replyTo: FrameId | undefined, error: unknown) => void
  /** Told when a slow reader was given a `resync` instead of events. */
  readonly resynced: () => void
}

export class FanOut {
  readonly #context: FanOutContext
  readonly #topics = new Map<AuctionId, Topic>()
  readonly #sessionsOf = new Map<string, Set<SocketSession>>()
  readonly #dropped = new Map<SocketSession, Published>()
  #subscriptionCount = 0
  /** What was published and may not have reached the sockets yet, oldest first, and since the last full sweep. */
  #leaving: Published[] = []
  #published: Published[] = []
  #isSweepPending = false

  constructor(context: FanOutContext) {
    this.#context = context
  }

  get subscriptionCount(): number {
    return this.#subscriptionCount
  }

  get isFull(): boolean {
    return this.#subscriptionCount >= this.#context.subscriptionsMax
  }

  /** From now on the session gets its bidder's private frames. */
  enter(session: SocketSession): void {
    const { identity } = session
    if (identity === undefined) return
    const sessions = this.#sessionsOf.get(identity.subject)
    if (sessions === undefined) this.#sessionsOf.set(identity.subject, new Set([session]))
    else sessions.add(session)
  }

  /** The session is over. */
  leave(session: SocketSession): void {
    for (const subscription of [...session.subscriptions.values()]) this.#end(subscription)
    this.#dropped.delete(session)
    const { identity } = session
    if (identity === undefined) return
    const sessions = this.#sessionsOf.get(identity.subject)
    sessions?.delete(session)
    if (sessions?.size === 0) this.#sessionsOf.delete(identity.subject)
  }

  /** Sockets of one subject. */
  sessionCount(subject: string): number {
    return this.#sessionsOf.get(subject)?.size ?? 0
  }

  /** Answers a `subscribe`, with a snapshot or the events after `since`; a second one begins anew. */
  async subscribe(
    session: SocketSession,
    replyTo: FrameId,
    auctionId: AuctionId,
    since: Position | undefined,
  ): Promise<void> {
    const previous = session.subscriptions.get(auctionId)
    if (previous !== undefined) this.#end(previous)
    const subscription: Subscription = this.#begin(session, auctionId)
    const { topic } = subscription
    try {
      if (since !== undefined) {
        if (this.#resumeFromTail(subscription, replyTo, since)) return
        if (topic.reading !== undefined) {
          await topic.reading
          if (hasEnded(subscription) || this.#resumeFromTail(subscription, replyTo, since)) return
        }
      }
      const missed = since === undefined ? undefined : await this.#readFor(topic, this.#missed(topic, since))
      if (hasEnded(subscription)) return
      if (since !== undefined && missed !== undefined) {
        session.send(resumedFrame(replyTo, auctionId, since))
        subscription.fromSeq = since.seq
        const page = missed.slice(0, replayPageMax)
        this.#replay(subscription, page)
        subscription.seenSeq = Math.max(subscription.seenSeq, missed.at(-1)?.seq ?? 0)
      } else {
        const view = await this.#readFor(topic, this.#view(topic))
        const you = view === undefined ? undefined : await this.#standing(session, auctionId)
        if (hasEnded(subscription)) return
        if (view === undefined) {
          this.#end(subscription)
          const message = 'there is no such auction'
          session.send(encodeServerFrame({ type: 'error', replyTo, code: 'auction_not_found', message }))
          return
        }
        session.send(snapshotFrame(replyTo, view, you))
        subscription.fromSeq = view.seq
      }
      await this.#catchUp(subscription)
    } catch (error) {
      if (hasEnded(subscription)) return
      this.#end(subscription)
      this.#context.readFailed(session, replyTo, error)
    }
  }

  /**
   * Honours `since` without a read of its own: when a server dies, its clients come to another one with thousands
   * of these at once. `false`: the tail does not reach there.
   */
  #resumeFromTail(subscription: Subscription, replyTo: FrameId, since: Position): boolean {
    const { session, topic } = subscription
    const missed = topic.tail.after(since)
    if (missed === undefined) return false
    session.send(resumedFrame(replyTo, topic.auctionId, since))
    for (const { frame } of missed) session.send(frame)
    subscription.fromSeq = missed.at(-1)?.seq ?? since.seq
    subscription.stage = 'waiting'
    return true
  }

  /** Whoever comes while it is read waits for what it tells. A failure is told to who asked. */
  #readFor<T>(topic: Topic, read: Promise<T>): Promise<T> {
    const reading = read.then(
      () => undefined,
      () => undefined,
    )
    topic.reading = reading
    void reading.then(() => {
      if (topic.reading === reading) topic.reading = undefined
    })
    return read
  }

  async #missed(topic: Topic, since: Position): Promise<readonly PublicEvent[] | undefined> {
    const missed = await this.#context.cluster.eventsSince(topic.auctionId, since, resumedEventsMax)
    if (missed !== undefined) {
      const [before, latest] = [missed.slice(0, -eventsMax).at(-1), missed.slice(-eventsMax)]
      topic.tail.read(before ?? since, latest.map(tailEvent))
    }
    return missed
  }

  async #view(topic: Topic): Promise<AuctionView | undefined> {
    const view = await this.#context.cluster.auction(topic.auctionId)
    if (view !== undefined) topic.tail.read(view, [])
    return view
  }

  /** Whether the session watched it. */
  unsubscribe(session: SocketSession, auctionId: AuctionId): boolean {
    const subscription = session.subscriptions.get(auctionId)
    if (subscription === undefined) return false
    this.#end(subscription)
    return true
  }

  /** Takes one applied entry of the feed to everyone it concerns. */
  deliver(batch: FeedBatch): void {
    for (const event of batch.events) {
      if (isPublic(event)) {
        this.#publish(event)
        continue
      }
      const sessions = this.#sessionsOf.get(event.bidderId)
      if (sessions === undefined) continue
      const frame = encodeServerFrame(privateEventFrame(event))
      for (const session of sessions) session.send(frame)
    }
  }

  /** The carrier could not give this session a published message, nor maybe later ones of the same sweep. */
  dropped(session: SocketSession, first: Published): void {
    if (!this.#dropped.has(session)) this.#dropped.set(session, first)
  }

  /** The session reads again: it gets the latest of what it missed, as far as there is room. */
  drained(session: SocketSession): void {
    this.#settleDropped()
    for (const subscription of session.subscriptions.values()) {
      if (!session.hasRoom) return
      if (subscription.stage === 'lagging') this.#rejoin(subscription)
      else if (subscription.stage === 'blocked') {
        subscription.stage = 'replaying'
        void this.#resumeReplay(subscription)
      }
    }
  }

  #begin(session: SocketSession, auctionId: AuctionId): Subscription {
    let topic = this.#topics.get(auctionId)
    if (topic === undefined) {
      topic = {
        auctionId,
        subscriptions: new Set(),
        joiners: new Set(),
        liveJson: 0,
        liveMsgpack: 0,
        lastSeq: 0,
        lastEpoch: 0,
        tail: new EventTail(),
        reading: undefined,
      }
      this.#topics.set(auctionId, topic)
    }
    const subscription: Subscription = { session, topic, stage: 'reading', fromSeq: 0, seenSeq: 0 }
    topic.subscriptions.add(subscription)
    topic.joiners.add(subscription)
    session.subscriptions.set(auctionId, subscription)
    this.#subscriptionCount += 1
    return subscription
  }

  #end(subscription: Subscription): void {
    const { session, topic } = subscription
    if (subscription.stage === 'live') this.#takeOffAir(subscription)
    subscription.stage = 'ended'
    topic.joiners.delete(subscription)
    topic.subscriptions.delete(subscription)
    session.subscriptions.delete(topic.auctionId)
    this.#subscriptionCount -= 1
    if (topic.subscriptions.size === 0) this.#topics.delete(topic.auctionId)
  }

  async #standing(session: SocketSession, auctionId: AuctionId): Promise<Standing | undefined> {
    const { identity } = session
    if (identity === undefined || !hasRole(identity, 'bidder')) return undefined
    return this.#context.cluster.standing(auctionId, identity.subject)
  }

  #replay(subscription: Subscription, events: readonly PublicEvent[]): void {
    for (const event of events) {
      if (event.seq !== subscription.fromSeq + 1) this.#resync(subscription, event.seq - 1, event.epoch)
      subscription.session.send(encodeServerFrame(publicEventFrame(event)))
      subscription.fromSeq = event.seq
    }
  }

  /** Sends what came after `fromSeq` until nothing is left; then the next event finds the subscription waiting. */
  async #catchUp(subscription: Subscription): Promise<void> {
    const { session, topic } = subscription
    subscription.stage = 'replaying'
    while (subscription.seenSeq > subscription.fromSeq) {
      session.flush()
      if (!session.hasRoom) {
        subscription.stage = 'blocked'
        return
      }
      const page = await this.#context.cluster.events(topic.auctionId, subscription.fromSeq, replayPageMax)
      if (hasEnded(subscription)) return
      this.#replay(subscription, page)
      if (page.length === 0) this.#resync(subscription, subscription.seenSeq, topic.lastEpoch)
    }
    subscription.stage = 'waiting'
  }

  /** As `#catchUp`, where no frame waits for an answer any more. */
  async #resumeReplay(subscription: Subscription): Promise<void> {
    try {
      await this.#catchUp(subscription)
    } catch (error) {
      if (hasEnded(subscription)) return
      this.#context.readFailed(subscription.session, undefined, error)
    }
  }

  #publish(event: PublicEvent): void {
    const topic = this.#topics.get(event.auctionId)
    if (topic === undefined || event.seq <= topic.lastSeq) return
    this.#settleDropped()
    if (topic.lastSeq !== 0 && event.seq !== topic.lastSeq + 1) this.#publishGap(topic, event)
    for (const joiner of topic.joiners) {
      joiner.seenSeq = event.seq
      if (joiner.stage === 'waiting' && event.seq > joiner.fromSeq) this.#goLive(joiner, event)
    }
    topic.lastSeq = event.seq
    topic.lastEpoch = event.epoch
    const published = tailEvent(event)
    topic.tail.published(published)
    this.#publishFrame(topic, published.frame, event.seq)
  }

  #publishFrame(topic: Topic, frame: EncodedFrame, seq: number): void {
    if (topic.liveJson + topic.liveMsgpack > 0) this.#note({ auctionId: topic.auctionId, seq })
    if (topic.liveJson > 0) this.#context.publish(topicName(topic, true), frame.json())
    if (topic.liveMsgpack > 0) this.#context.publish(topicName(topic, false), frame.msgpack())
  }

  /** The feed itself left events out (its link was away for too long): all who were live are told. */
  #publishGap(topic: Topic, event: PublicEvent): void {
    const expected = topic.lastSeq + 1
    const frame = this.#resyncFrame(topic.auctionId, expected, event.seq - 1, event.epoch)
    this.#publishFrame(topic, frame, expected)
  }

  /** Right before `event` is published: it will be the first that the carrier brings to this subscription. */
  #goLive(joiner: Subscription, event: PublicEvent): void {
    const { session, topic } = joiner
    if (event.seq !== joiner.fromSeq + 1) this.#resync(joiner, event.seq - 1, event.epoch)
    session.flush()
    topic.joiners.delete(joiner)
    if (session.hasRoom) this.#putOnAir(joiner)
    else joiner.stage = 'lagging'
  }

  /** Gives a reader that came back the last few events, after a `resync` for those before them. */
  #rejoin(subscription: Subscription): void {
    const { session, topic } = subscription
    const latest = topic.tail.latest(topic.lastSeq, rejoinedMax)
    const [first] = latest
    if (topic.lastSeq > subscription.fromSeq) {
      const leftOutSeq = first === undefined ? topic.lastSeq : first.seq - 1
      if (leftOutSeq > subscription.fromSeq) this.#resync(subscription, leftOutSeq, topic.lastEpoch)
      for (const { seq, frame } of latest) if (seq > subscription.fromSeq) session.send(frame)
      subscription.fromSeq = topic.lastSeq
    }
    session.flush()
    if (session.hasRoom) this.#putOnAir(subscription)
  }

  /** Stands for the events after `fromSeq` up to `current`: the subscription does without them. */
  #resync(subscription: Subscription, current: number, epoch: number): void {
    const { session, topic, fromSeq } = subscription
    session.send(this.#resyncFrame(topic.auctionId, fromSeq + 1, current, epoch))
    subscription.fromSeq = current
    this.#context.resynced()
  }

  #resyncFrame(auctionId: AuctionId, expected: number, current: number, epoch: number): EncodedFrame {
    const serverTime = this.#context.clock.nowMs()
    return encodeServerFrame({
      type: 'resync',
      auctionId,
      seq: current,
      epoch,
      serverTime,
      expected,
      current,
    })
  }

  #putOnAir(subscription: Subscription): void {
    const { session, topic } = subscription
    const isJson = session.subprotocol === jsonSubprotocol
    if (isJson) topic.liveJson += 1
    else topic.liveMsgpack += 1
    session.subscribe(topicName(topic, isJson))
    subscription.stage = 'live'
  }

  #takeOffAir(subscription: Subscription): void {
    const { session, topic } = subscription
    const isJson = session.subprotocol === jsonSubprotocol
    if (isJson) topic.liveJson -= 1
    else topic.liveMsgpack -= 1
    session.unsubscribe(topicName(topic, isJson))
  }

  /**
   * Takes slow readers off the air before anything more is published, so that no event after a dropped one can
   * reach them first. The carrier delivers in order of publication, says which message it dropped first, and
   * drops all later ones of that sweep: what was published before it arrived, what came after did not.
   */
  #settleDropped(): void {
    if (this.#dropped.size === 0) return
    const published = [...this.#leaving, ...this.#published]
    for (const [session, first] of this.#dropped) {
      const at = published.findIndex(
        ({ auctionId, seq }) => auctionId === first.auctionId && seq === first.seq,
      )
      const missed = published.slice(Math.max(0, at))
      for (const subscription of session.subscriptions.values()) {
        if (subscription.stage !== 'live') continue
        const { topic } = subscription
        this.#takeOffAir(subscription)
        subscription.stage = 'lagging'
        const firstMissed = missed.find(({ auctionId }) => auctionId === topic.auctionId)
        // Published before it went live: not meant for it.
        const receivedSeq = firstMissed === undefined ? topic.lastSeq : firstMissed.seq - 1
        subscription.fromSeq = Math.max(subscription.fromSeq, receivedSeq)
      }
    }
    this.#dropped.clear()
  }

  /** Notes a publication for as long as the carrier may not have delivered it. */
  #note(published: Published): void {
    this.#published.push(published)
    if (!this.#isSweepPending) this.#rotateAfterSweep()
  }

  #rotateAfterSweep(): void {
    this.#isSweepPending = true
    this.#context.afterSweep(() => {
      this.#settleDropped()
      this.#isSweepPending = false
      this.#leaving = this.#published
      this.#published = []
      if (this.#leaving.length > 0) this.#rotateAfterSweep()
    })
  }
}

/** Asked after every wait: the session may have gone, or begun anew. */
function hasEnded(subscription: Subscription): boolean {
  return subscription.stage === 'ended'
}

function topicName(topic: Topic, isJson: boolean): string {
  return `${isJson ? 'j' : 'm'}${topic.auctionId}`
}

function tailEvent(event: PublicEvent): TailEvent {
  return { seq: event.seq, epoch: event.epoch, frame: encodeServerFrame(publicEventFrame(event)) }
}

function resumedFrame(replyTo: FrameId, auctionId: AuctionId, { epoch, seq }: Position): EncodedFrame {
  return encodeServerFrame({ type: 'resumed', replyTo, auctionId, epoch, seq })
}

function snapshotFrame(replyTo: FrameId, view: AuctionView, you: Standing | undefined): EncodedFrame {
  return encodeServerFrame({
    type: 'subscribed',
    replyTo,
    auction: wireView(view, you),
    epoch: view.epoch,
    seq: view.seq,
  })
}
