/**
 * Delivers the events of the feed to the sockets that watch.
 *
 * A subscription becomes live between two events, never during a read, so nothing is buffered for it and nothing is
 * sent twice. `subscription.ts` draws its stages; sockets and their queues are in `socket-session.ts`. Invariant:
 * after its snapshot, or after a `since` that was resumed, a subscription gets every public event once, in order of
 * `seq`; a `resync` replaces the events that a slow reader does not get. Source: docs/protocol.md, "WebSocket";
 * docs/spec.md FLOW.
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

/** A message to a topic, by its event, or by the first event that a `resync` replaces. */
export interface Published {
  readonly auctionId: AuctionId
  readonly seq: number
}

/** How many events a slow reader gets when it reads again; usually the latest price and its context. */
const rejoinedMax = 4
const replayPageMax = 256

export interface FanOutContext {
  readonly cluster: Cluster
  readonly clock: Clock
  readonly subscriptionsMax: number
  readonly publish: (topic: string, message: string | Uint8Array) => void
  /** Calls `work` once everything published so far has been handed to the sockets. */
  readonly afterSweep: (work: () => void) => void
  /** A read of the cluster failed. Answers the frame; ends the session if it was answered before. */
  readonly readFailed: (session: SocketSession, replyTo: FrameId | undefined, error: unknown) => void
  /** Called when a slow reader gets a `resync` instead of events. */
  readonly resynced: () => void
}

export class FanOut {
  readonly #context: FanOutContext
  readonly #topics = new Map<AuctionId, Topic>()
  readonly #sessionsOf = new Map<string, Set<SocketSession>>()
  readonly #dropped = new Map<SocketSession, Published>()
  #subscriptionCount = 0
  /** Publications that the carrier may still hold, oldest first: those before the last sweep, and those since. */
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

  /** The session begins: it gets its bidder's private frames. */
  enter(session: SocketSession): void {
    const { identity } = session
    if (identity === undefined) return
    const sessions = this.#sessionsOf.get(identity.subject)
    if (sessions === undefined) this.#sessionsOf.set(identity.subject, new Set([session]))
    else sessions.add(session)
  }

  /** The session has ended. */
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
   * Resumes after `since` without a read: when a server dies, thousands of its clients resume here at once. `false`:
   * the tail does not have that position.
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

  /** Single-flight: later subscribers wait for this read. Its failure reaches only its own caller. */
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

  /** Whether the session was subscribed. */
  unsubscribe(session: SocketSession, auctionId: AuctionId): boolean {
    const subscription = session.subscriptions.get(auctionId)
    if (subscription === undefined) return false
    this.#end(subscription)
    return true
  }

  /** Delivers the events of one applied entry to the sessions concerned. */
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

  /** The carrier dropped a published message of this session, and maybe later ones of the same sweep. */
  dropped(session: SocketSession, first: Published): void {
    if (!this.#dropped.has(session)) this.#dropped.set(session, first)
  }

  /** The session reads again: it gets the latest of the missed events, as far as there is room. */
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
    if (subscription.stage === 'live') this.#stopLive(subscription)
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

  /** Sends the events after `fromSeq` until none is left; then the subscription waits for the next event. */
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

  /** As `#catchUp`, after the `subscribe` was answered. */
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

  /** The feed itself left events out (the link was away too long): every live subscription gets a `resync`. */
  #publishGap(topic: Topic, event: PublicEvent): void {
    const expected = topic.lastSeq + 1
    const frame = this.#resyncFrame(topic.auctionId, expected, event.seq - 1, event.epoch)
    this.#publishFrame(topic, frame, expected)
  }

  /** Called right before `event` is published, which is then the first that the carrier brings here. */
  #goLive(joiner: Subscription, event: PublicEvent): void {
    const { session, topic } = joiner
    if (event.seq !== joiner.fromSeq + 1) this.#resync(joiner, event.seq - 1, event.epoch)
    session.flush()
    topic.joiners.delete(joiner)
    if (session.hasRoom) this.#startLive(joiner)
    else joiner.stage = 'lagging'
  }

  /** Sends a reader that caught up the last few events, after a `resync` for those before them. */
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
    if (session.hasRoom) this.#startLive(subscription)
  }

  /** Replaces the events after `fromSeq` up to `current`, which the subscription will not get. */
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

  #startLive(subscription: Subscription): void {
    const { session, topic } = subscription
    const isJson = session.subprotocol === jsonSubprotocol
    if (isJson) topic.liveJson += 1
    else topic.liveMsgpack += 1
    session.subscribe(topicName(topic, isJson))
    subscription.stage = 'live'
  }

  #stopLive(subscription: Subscription): void {
    const { session, topic } = subscription
    const isJson = session.subprotocol === jsonSubprotocol
    if (isJson) topic.liveJson -= 1
    else topic.liveMsgpack -= 1
    session.unsubscribe(topicName(topic, isJson))
  }

  /**
   * Stops slow readers from being live before anything more is published, so that no event after a dropped one
   * reaches them first. The carrier delivers in order of publication, reports the first message that it dropped, and
   * drops all later ones of that sweep: messages before that one arrived, that one and the later ones did not.
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
        this.#stopLive(subscription)
        subscription.stage = 'lagging'
        const firstMissed = missed.find(({ auctionId }) => auctionId === topic.auctionId)
        // Events published before it was live are not for it.
        const receivedSeq = firstMissed === undefined ? topic.lastSeq : firstMissed.seq - 1
        subscription.fromSeq = Math.max(subscription.fromSeq, receivedSeq)
      }
    }
    this.#dropped.clear()
  }

  /** Records a publication until the carrier has certainly handed it over. */
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

/** Checked after every await: the session may have ended or subscribed again. */
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
