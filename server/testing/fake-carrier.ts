/**
 * A carrier without a network, whose sockets a test can fill and block.
 *
 * It drops messages as the real one does. Invariant: published messages leave at a sweep, or before a message that is
 * sent directly to the same socket. A socket over its limit takes no direct message; of the published ones it drops
 * the rest of the batch and reports the first. Source: docs/spec.md EDGE7; uws.ts.
 */
import type { Socket } from '../carrier/socket.ts'

export interface CarrierEvents {
  dropped(socket: FakeSocket, message: string): void
  drained(socket: FakeSocket): void
  closed(socket: FakeSocket, code: number): void
}

export class FakeCarrier {
  readonly sockets: FakeSocket[] = []
  readonly limit: number
  readonly events: CarrierEvents

  constructor(limit: number, events: CarrierEvents) {
    this.limit = limit
    this.events = events
  }

  socket(): FakeSocket {
    const socket = new FakeSocket(this)
    this.sockets.push(socket)
    return socket
  }

  publish(topic: string, message: string | Uint8Array): void {
    for (const socket of this.sockets) if (socket.topics.has(topic)) socket.pending.push(String(message))
  }

  /** The end of an event-loop turn. */
  sweep(): void {
    for (const socket of this.sockets) socket.deliverPending()
  }
}

export class FakeSocket implements Socket {
  readonly carrier: FakeCarrier
  readonly topics = new Set<string>()
  /** Published, not yet swept. */
  pending: string[] = []
  /** Sent, not yet read by the client. */
  unread: string[] = []
  /** What the client has read. */
  readonly received: Record<string, unknown>[] = []
  isReading = true
  isClosed = false
  /** A write failed or waited, so `drained` is called when the client reads again. */
  owesDrain = false
  closeCode: number | undefined
  pings = 0

  constructor(carrier: FakeCarrier) {
    this.carrier = carrier
  }

  get bufferedBytes(): number {
    return this.unread.reduce((sum, message) => sum + message.length, 0)
  }

  send(message: string | Uint8Array): boolean {
    if (this.isClosed || this.bufferedBytes > this.carrier.limit) return false
    this.deliverPending()
    this.#put(String(message))
    return true
  }

  cork(write: () => void): void {
    if (!this.isClosed) write()
  }

  subscribe(topic: string): void {
    this.topics.add(topic)
  }

  unsubscribe(topic: string): void {
    this.topics.delete(topic)
  }

  ping(): void {
    this.pings += 1
  }

  end(code: number): void {
    if (this.isClosed) return
    this.isClosed = true
    this.closeCode = code
    this.topics.clear()
    this.carrier.events.closed(this, code)
  }

  terminate(): void {
    this.end(1006)
  }

  deliverPending(): void {
    const batch = this.pending
    this.pending = []
    for (const message of batch) {
      if (this.isClosed) return
      if (this.bufferedBytes > this.carrier.limit) {
        this.owesDrain = true
        this.carrier.events.dropped(this, message)
        return
      }
      this.#put(message)
    }
  }

  /** The client reads all waiting messages. */
  read(): void {
    const messages = this.unread
    this.unread = []
    for (const message of messages) this.received.push(JSON.parse(message) as Record<string, unknown>)
    if (this.isClosed || (messages.length === 0 && !this.owesDrain)) return
    this.owesDrain = false
    this.carrier.events.drained(this)
  }

  /** A write uses the room of a reading client before `drained` is called, as in the real carrier. */
  #put(message: string): void {
    if (this.isReading) {
      for (const earlier of this.unread.splice(0))
        this.received.push(JSON.parse(earlier) as Record<string, unknown>)
      this.received.push(JSON.parse(message) as Record<string, unknown>)
    } else {
      this.unread.push(message)
      this.owesDrain = true
    }
  }
}
