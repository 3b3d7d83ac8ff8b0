/**
 * The sending half of the snapshot transfers of one connection.
 *
 * It gathers rows into chunks and has a few chunks in flight at a time; each transfer ends exactly once, done or
 * aborted. Invariant: never more than `windowChunks` beyond what the receiver has stored, so neither side's memory
 * depends on the size of the state. Source: docs/spec.md PEER12 to PEER14.
 */
import type { GroupId } from '../../protocol/ids.ts'
import { crc32 } from '../../runtime/checksum.ts'
import type { CancelTimer } from '../../runtime/clock.ts'
import { TransportError, toTransportError } from '../../wire/errors.ts'
import { frameKinds } from '../../wire/kinds.ts'
import type { Timing } from '../../wire/timing.ts'
import type { Message } from '../raft/types.ts'
import type { SnapshotSource } from './peer-transport.ts'
import { encodeRaftMessage } from './raft-codec.ts'
import {
  decodeAbort,
  decodeAsked,
  decodeCredit,
  decodeDone,
  encodeAbort,
  encodeAsked,
  encodeBegin,
  encodeChunk,
  encodeEnd,
  rowBytes,
  writeRow,
} from './snapshot-codec.ts'
import type { FrameChannel, SnapshotLimits } from './snapshot-limits.ts'

/** One transfer: how far it is, and who waits for it to go on. */
interface Transfer {
  readonly stream: number
  sentChunks: number
  storedChunks: number
  /** The answer to the open question, once it is here. */
  answer: Uint8Array | undefined
  /** Set once: why it ended, or `done`. */
  outcome: TransportError | 'done' | undefined
  wake: () => void
  cancelStall: CancelTimer | undefined
}

export class SnapshotSenders {
  readonly #channel: FrameChannel
  readonly #timing: Timing
  readonly #limits: SnapshotLimits
  readonly #transfers = new Map<number, Transfer>()
  #lastStream: number

  constructor(channel: FrameChannel, timing: Timing, limits: SnapshotLimits) {
    this.#channel = channel
    this.#timing = timing
    this.#limits = limits
    // Answers to an earlier life of this node are not taken for answers to this one.
    this.#lastStream = Math.floor(timing.random() * 2 ** 40)
  }

  /** Resolves when the receiver has stored everything. Rejects with a TransportError. */
  async send(
    groupId: GroupId,
    message: Message,
    source: SnapshotSource,
    signal?: AbortSignal,
  ): Promise<void> {
    this.#lastStream++
    const transfer: Transfer = {
      stream: this.#lastStream,
      sentChunks: 0,
      storedChunks: 0,
      answer: undefined,
      outcome: undefined,
      wake: () => undefined,
      cancelStall: undefined,
    }
    this.#transfers.set(transfer.stream, transfer)
    const onAbort = () => this.#settle(transfer, aborted('the sender gave up'))
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted === true) onAbort()
    this.#watch(transfer)
    try {
      await this.#stream(transfer, groupId, message, source)
    } catch (thrown) {
      const cause = toTransportError(thrown, 'snapshot_aborted')
      this.#settle(transfer, cause)
      const abort = { stream: transfer.stream, bySender: true, reason: cause.message }
      this.#channel.send(frameKinds.snapshotAbort, [encodeAbort(abort)])
      throw cause
    } finally {
      transfer.cancelStall?.()
      this.#transfers.delete(transfer.stream)
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** What the receiver says. Answers about transfers that are over are late, not wrong. Throws `malformed`. */
  frame(kind: number, body: Uint8Array): void {
    if (kind === frameKinds.snapshotCredit) {
      const { stream, chunks } = decodeCredit(body)
      const transfer = this.#transfers.get(stream)
      if (transfer === undefined || chunks <= transfer.storedChunks) return
      transfer.storedChunks = Math.min(chunks, transfer.sentChunks)
      this.#watch(transfer)
      transfer.wake()
    } else if (kind === frameKinds.snapshotDone) {
      const transfer = this.#transfers.get(decodeDone(body))
      if (transfer !== undefined) this.#settle(transfer, 'done')
    } else if (kind === frameKinds.snapshotAnswer) {
      const { stream, bytes } = decodeAsked(body)
      const transfer = this.#transfers.get(stream)
      if (transfer === undefined) return
      // The frame is the connection's.
      transfer.answer = bytes.slice()
      this.#watch(transfer)
      transfer.wake()
    } else {
      const { stream, reason } = decodeAbort(body)
      const transfer = this.#transfers.get(stream)
      if (transfer !== undefined) this.#settle(transfer, aborted(`the receiver gave up: ${reason}`))
    }
  }

  /** The channel takes frames again. */
  writable(): void {
    for (const transfer of this.#transfers.values()) transfer.wake()
  }

  /** The channel is gone: every transfer rejects with the cause. */
  close(cause: TransportError): void {
    for (const transfer of this.#transfers.values()) this.#settle(transfer, cause)
  }

  async #stream(
    transfer: Transfer,
    groupId: GroupId,
    message: Message,
    source: SnapshotSource,
  ): Promise<void> {
    const { stream } = transfer
    await this.#put(
      transfer,
      frameKinds.snapshotBegin,
      encodeBegin(stream, encodeRaftMessage(groupId, message)),
    )
    const { chunkBytes, rowBytesMax, windowChunks } = this.#limits
    let buffer = Buffer.allocUnsafeSlow(chunkBytes)
    let used = 0
    let rowCount = 0
    let checksum = 0
    const flush = async () => {
      const rows = buffer.subarray(0, used)
      checksum = crc32(rows, checksum)
      await this.#until(transfer, () => transfer.sentChunks - transfer.storedChunks < windowChunks)
      const head = { stream, sequence: transfer.sentChunks, checksum }
      await this.#put(transfer, frameKinds.snapshotChunk, encodeChunk(head, rows))
      transfer.sentChunks++
      used = 0
    }
    for await (const batch of source) {
      if (transfer.outcome !== undefined) break
      if ('question' in batch) {
        if (used > 0) await flush()
        batch.answered(await this.#ask(transfer, batch.question))
        continue
      }
      for (const row of batch) {
        const bytes = rowBytes(row)
        if (bytes > rowBytesMax) throw aborted(`a row of ${bytes} bytes, at most ${rowBytesMax} may be`)
        if (used > 0 && used + bytes > chunkBytes) await flush()
        // What was sent belongs to the network.
        if (used === 0) buffer = Buffer.allocUnsafeSlow(Math.max(chunkBytes, bytes))
        used = writeRow(buffer, used, row)
        rowCount++
      }
    }
    if (used > 0) await flush()
    const end = encodeEnd({ stream, chunks: transfer.sentChunks, rows: rowCount, checksum })
    await this.#put(transfer, frameKinds.snapshotEnd, [end])
    await this.#until(transfer, () => false)
  }

  async #ask(transfer: Transfer, question: Uint8Array): Promise<Uint8Array> {
    transfer.answer = undefined
    await this.#put(transfer, frameKinds.snapshotQuestion, encodeAsked(transfer.stream, question))
    await this.#until(transfer, () => transfer.answer !== undefined)
    return transfer.answer ?? new Uint8Array()
  }

  /** Waits until the channel takes the frame. */
  async #put(
    transfer: Transfer,
    kind: Parameters<FrameChannel['send']>[0],
    parts: Uint8Array[],
  ): Promise<void> {
    await this.#until(transfer, () => this.#channel.send(kind, parts))
  }

  /** Waits until `ready` says so at one of the wakes, or the transfer is done. Throws why it was aborted. */
  async #until(transfer: Transfer, ready: () => boolean): Promise<void> {
    for (;;) {
      if (transfer.outcome === 'done') return
      if (transfer.outcome !== undefined) throw transfer.outcome
      if (ready()) return
      await new Promise<void>((resolve) => {
        transfer.wake = resolve
      })
    }
  }

  #settle(transfer: Transfer, outcome: TransportError | 'done'): void {
    transfer.outcome ??= outcome
    transfer.wake()
  }

  #watch(transfer: Transfer): void {
    transfer.cancelStall?.()
    transfer.cancelStall = this.#timing.clock.setTimer(this.#limits.stallMs, () => {
      this.#settle(transfer, aborted(`no progress for ${this.#limits.stallMs} ms`))
    })
  }
}

function aborted(reason: string): TransportError {
  return new TransportError('snapshot_aborted', reason)
}
