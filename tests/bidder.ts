/**
 * Bidders for the end-to-end tests, on the public client and nothing else.
 *
 * Each bidder keeps what it received, so that a test can compare it with the house afterwards.
 *
 * Invariant: nothing reaches the house but through clients/core.
 */
import { randomUUID } from 'node:crypto'
import { WebSocket } from 'ws'
import {
  type Clock,
  HouseHttp,
  jsonCodec,
  msgpackCodec,
  Session,
  type WebSocketClass,
  webSocketTransport,
} from '../clients/core/index.ts'
import type { AuctionId } from '../protocol/ids.ts'
import { systemClock } from '../runtime/clock.ts'

const clock: Clock = systemClock

export function houseHttp(url: string, token?: string): HouseHttp {
  return new HouseHttp({
    url,
    ...(token === undefined ? {} : { token: () => token }),
    fetch,
    clock,
    random: Math.random,
    newId: randomUUID,
  })
}

/** A session that comes back within milliseconds, and never gives up. */
export function openSession(
  url: string,
  token: string,
  codec: 'json' | 'msgpack',
  otherUrls: readonly string[] = [],
): Session {
  return new Session({
    url,
    otherUrls,
    token: () => token,
    transport: webSocketTransport(WebSocket as unknown as WebSocketClass, clock),
    clock,
    random: Math.random,
    newId: randomUUID,
    codec: codec === 'json' ? jsonCodec : msgpackCodec,
    backoff: { baseMs: 10, topMs: 200 },
    bidPatienceMs: 240_000,
  })
}

/** The row of `seq` that one watcher saw: `gaps` counts events that were missed, `repeats` those seen twice. */
export class SeqRecorder {
  readonly seen: number[] = []
  gaps = 0
  repeats = 0
  snapshots = 0

  watch(session: Session, auctionId: AuctionId): void {
    session.watch(auctionId, (update) => {
      if (update.type === 'snapshot') {
        this.snapshots += 1
        if (update.missed) this.gaps += 1
        if (this.seen.length === 0) this.seen.push(update.auction.seq)
        return
      }
      if (update.type !== 'event') throw new Error(`the house refused to be watched: ${update.code}`)
      const last = this.seen.at(-1) ?? 0
      if (update.event.seq <= last) this.repeats += 1
      else if (update.event.seq !== last + 1) this.gaps += 1
      this.seen.push(update.event.seq)
    })
  }
}
