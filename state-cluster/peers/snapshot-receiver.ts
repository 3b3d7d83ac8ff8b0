/**
 * The receiving half of the snapshot transfers of one connection.
 *
 * It checks order and checksums, hands rows to the sink one chunk at a time, grants credit as they are stored, and
 * delivers the raft message at the end. Invariant: a sink gets `finish` only after every row arrived whole and in
 * order; otherwise it gets `abort`, once. Source: docs/spec.md PEER12 to PEER14.
 */
import { crc32 } from '../../runtime/checksum.ts'
import type { CancelTimer } from '../../runtime/clock.ts'
import { TransportError, toTransportError } from '../../wire/errors.ts'
import { frameKinds } from '../../wire/kinds.ts'
import type { Timing } from '../../wire/timing.ts'
import { malformed } from '../../wire/tuples.ts'
import type { SnapshotSink } from './peer-transport.ts'
import { decodeRaftMessage, type GroupMessage } from './raft-codec.ts'
import {
  decodeAbort,
  decodeAsked,
  decodeBegin,
  decodeChunk,
  decodeEnd,
  decodeRows,
  encodeAbort,
  encodeAsked,
  encodeCredit,
  encodeDone,
  type SnapshotEnd,
} from './snapshot-codec.ts'
import type { FrameChannel, SnapshotLimits } from './snapshot-limits.ts'

export interface SnapshotOwner {
  /** Whether to take it: `undefined` is a no. Throws TransportError for a message that cannot be. */
  begin(incoming: GroupMessage): SnapshotSink | undefined
  deliver(incoming: GroupMessage): void
}

interface Question {
  readonly question: Uint8Array
}

interface Arrival {
  readonly stream: number
  readonly incoming: GroupMessage
  readonly sink: SnapshotSink
  /** Arrived and not stored: rows, a question, or the end. */
  readonly queue: (Uint8Array | Question | SnapshotEnd)[]
  receivedChunks: number
  storedChunks: number
  rowCount: number
  checksum: number
  ended: boolean
  storing: boolean
  over: boolean
  cancelStall: CancelTimer | undefined
}

export class SnapshotReceivers {
  readonly #channel: FrameChannel
  readonly #timing: Timing
  readonly #limits: SnapshotLimits
  readonly #owner: SnapshotOwner
  readonly #arrivals = new Map<number, Arrival>()

  constructor(channel: FrameChannel, timing: Timing, limits: SnapshotLimits, owner: SnapshotOwner) {
    this.#channel = channel
    this.#timing = timing
    this.#limits = limits
    this.#owner = owner
  }

  /** What the sender says. Chunks of transfers that are over are late, not wrong. Throws `malformed`. */
  frame(kind: number, body: Uint8Array): void {
    if (kind === frameKinds.snapshotBegin) this.#begin(body)
    else if (kind === frameKinds.snapshotChunk) this.#chunk(body)
    else if (kind === frameKinds.snapshotEnd) this.#end(decodeEnd(body))
    else if (kind === frameKinds.snapshotQuestion) this.#question(body)
    else {
      const { stream, reason } = decodeAbort(body)
      const arrival = this.#arrivals.get(stream)
      if (arrival !== undefined) this.#drop(arrival, aborted(`the sender gave up: ${reason}`))
    }
  }

  /** The channel is gone. */
  close(cause: TransportError): void {
    for (const arrival of [...this.#arrivals.values()]) this.#drop(arrival, cause)
  }

  #begin(body: Uint8Array): void {
    const { stream, message } = decodeBegin(body)
    const incoming = decodeRaftMessage(message)
    if (incoming.message.type !== 'MsgSnap') throw malformed(`a snapshot of a ${incoming.message.type}`)
    const earlier = this.#arrivals.get(stream)
    if (earlier !== undefined) this.#drop(earlier, aborted('the sender began again'))
    const sink = this.#arrivals.size < this.#limits.incomingMax ? this.#owner.begin(incoming) : undefined
    if (sink === undefined) {
      this.#sayAbort(stream, 'not now')
      return
    }
    const arrival: Arrival = {
      stream,
      incoming,
      sink,
      queue: [],
      receivedChunks: 0,
      storedChunks: 0,
      rowCount: 0,
      checksum: 0,
      ended: false,
      storing: false,
      over: false,
      cancelStall: undefined,
    }
    this.#arrivals.set(stream, arrival)
    this.#watch(arrival)
  }

  #chunk(body: Uint8Array): void {
    const { head, rows } = decodeChunk(body)
    const arrival = this.#arrivals.get(head.stream)
    if (arrival === undefined) return
    arrival.checksum = crc32(rows, arrival.checksum)
    if (arrival.ended || head.sequence !== arrival.receivedChunks) {
      this.#refuse(arrival, aborted(`chunk ${head.sequence} where ${arrival.receivedChunks} was expected`))
    } else if (head.checksum !== arrival.checksum) {
      this.#refuse(arrival, aborted(`the checksum of chunk ${head.sequence} does not match`))
    } else if (arrival.receivedChunks - arrival.storedChunks >= this.#limits.windowChunks) {
      this.#refuse(arrival, aborted('more chunks than were asked for'))
    } else {
      arrival.receivedChunks++
      arrival.queue.push(rows)
      this.#watch(arrival)
      this.#store(arrival)
    }
  }

  #question(body: Uint8Array): void {
    const { stream, bytes } = decodeAsked(body)
    const arrival = this.#arrivals.get(stream)
    if (arrival === undefined) return
    if (arrival.ended || arrival.queue.some((item) => 'question' in item)) {
      this.#refuse(arrival, aborted('a question where none is open to be asked'))
      return
    }
    // The frame is the connection's.
    arrival.queue.push({ question: bytes.slice() })
    this.#watch(arrival)
    this.#store(arrival)
  }

  #end(end: SnapshotEnd): void {
    const arrival = this.#arrivals.get(end.stream)
    if (arrival === undefined) return
    if (arrival.ended || end.chunks !== arrival.receivedChunks || end.checksum !== arrival.checksum) {
      this.#refuse(arrival, aborted('the end does not fit what came before it'))
      return
    }
    arrival.ended = true
    arrival.queue.push(end)
    this.#store(arrival)
  }

  /** Hands what is queued to the sink, one after the other. */
  #store(arrival: Arrival): void {
    if (arrival.storing) return
    arrival.storing = true
    this.#storeAll(arrival).then(
      () => {
        arrival.storing = false
      },
      (thrown) => {
        this.#refuse(arrival, toTransportError(thrown, 'snapshot_aborted'))
      },
    )
  }

  async #storeAll(arrival: Arrival): Promise<void> {
    for (let next = arrival.queue.shift(); next !== undefined; next = arrival.queue.shift()) {
      if ('question' in next) {
        const answer = await arrival.sink.answer(next.question)
        if (arrival.over) return
        this.#channel.send(frameKinds.snapshotAnswer, encodeAsked(arrival.stream, answer))
        this.#watch(arrival)
        continue
      }
      if (!(next instanceof Uint8Array)) return await this.#finish(arrival, next)
      const rows = decodeRows(next)
      arrival.rowCount += rows.length
      await arrival.sink.write(rows)
      if (arrival.over) return
      arrival.storedChunks++
      this.#channel.send(frameKinds.snapshotCredit, [encodeCredit(arrival.stream, arrival.storedChunks)])
      this.#watch(arrival)
    }
  }

  async #finish(arrival: Arrival, end: SnapshotEnd): Promise<void> {
    if (end.rows !== arrival.rowCount) throw aborted(`${arrival.rowCount} rows came of ${end.rows}`)
    // From here on the sink decides alone: a connection that ends now does not undo what it stores.
    arrival.over = true
    arrival.cancelStall?.()
    this.#arrivals.delete(arrival.stream)
    try {
      await arrival.sink.finish()
    } catch (thrown) {
      this.#sayAbort(arrival.stream, toTransportError(thrown, 'snapshot_aborted').message)
      return
    }
    this.#timing.afterTurn(() => {
      this.#owner.deliver(arrival.incoming)
      this.#channel.send(frameKinds.snapshotDone, [encodeDone(arrival.stream)])
    })
  }

  #refuse(arrival: Arrival, cause: TransportError): void {
    if (arrival.over) return
    this.#sayAbort(arrival.stream, cause.message)
    this.#drop(arrival, cause)
  }

  #drop(arrival: Arrival, cause: TransportError): void {
    if (arrival.over) return
    arrival.over = true
    arrival.queue.length = 0
    arrival.cancelStall?.()
    this.#arrivals.delete(arrival.stream)
    arrival.sink.abort(cause)
  }

  #sayAbort(stream: number, reason: string): void {
    this.#channel.send(frameKinds.snapshotAbort, [encodeAbort({ stream, bySender: false, reason })])
  }

  #watch(arrival: Arrival): void {
    arrival.cancelStall?.()
    arrival.cancelStall = this.#timing.clock.setTimer(this.#limits.stallMs, () => {
      this.#refuse(arrival, aborted(`nothing came or was stored for ${this.#limits.stallMs} ms`))
    })
  }
}

function aborted(reason: string): TransportError {
  return new TransportError('snapshot_aborted', reason)
}
