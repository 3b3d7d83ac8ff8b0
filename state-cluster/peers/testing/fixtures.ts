/**
 * Fixtures of the tests of peers: messages, snapshot rows, recording peers.
 *
 * Invariant: nothing here waits for a fixed time; random messages come from fast-check, so its seed repeats them.
 */
import fc from 'fast-check'
import type { GroupId } from '../../../protocol/ids.ts'
import type { TransportError } from '../../../wire/errors.ts'
import {
  EMPTY_BYTES,
  EMPTY_MESSAGES,
  type Entry,
  type Message,
  type MessageType,
  newMessage,
  type Snapshot,
} from '../../raft/types.ts'
import type { PeerHandlers, SnapshotRow, SnapshotSink } from '../peer-transport.ts'
import { messageCodes } from '../raft-codec.ts'

export const group = (id: number) => id as GroupId

export function textMessage(from: number, to: number, text: string): Message {
  const data = new TextEncoder().encode(text)
  const message = newMessage('MsgApp', to)
  message.from = from
  message.entries = [{ type: 'EntryNormal', term: 1, index: 1, data }]
  return message
}

function textOf(message: Message): string {
  return new TextDecoder().decode(message.entries[0]?.data)
}

export function snapshotMessage(from: number, to: number, index = 7): Message {
  const message = newMessage('MsgSnap', to)
  message.from = from
  message.term = 3
  message.snapshot = {
    data: EMPTY_BYTES,
    metadata: {
      confState: { voters: [1, 2], learners: [3], votersOutgoing: [], learnersNext: [], autoLeave: false },
      index,
      term: 2,
    },
  }
  return message
}

const count = fc.maxSafeNat()
const bytes = fc.uint8Array({ maxLength: 300 })
const nodes = fc.array(fc.integer({ min: 1, max: 1_000_000 }), { maxLength: 7 })

const entry: fc.Arbitrary<Entry> = fc.record({
  type: fc.constantFrom('EntryNormal' as const, 'EntryConfChange' as const, 'EntryConfChangeV2' as const),
  term: count,
  index: count,
  data: bytes,
})

const snapshot: fc.Arbitrary<Snapshot> = fc.record({
  data: bytes,
  metadata: fc.record({
    confState: fc.record({
      voters: nodes,
      learners: nodes,
      votersOutgoing: nodes,
      learnersNext: nodes,
      autoLeave: fc.boolean(),
    }),
    index: count,
    term: count,
  }),
})

/** Any message that may travel. */
export const anyMessage: fc.Arbitrary<Message> = fc.record({
  type: fc.constantFrom(...(Object.keys(messageCodes) as MessageType[])),
  to: fc.integer({ min: 1 }),
  from: fc.integer({ min: 1 }),
  term: count,
  logTerm: count,
  index: count,
  entries: fc.array(entry, { maxLength: 20 }),
  commit: count,
  vote: count,
  snapshot: fc.option(snapshot, { nil: null }),
  reject: fc.boolean(),
  rejectHint: count,
  context: bytes,
  responses: fc.constant(EMPTY_MESSAGES),
})

/** A sink that keeps its rows; `gate` delays it. */
export class RowsSink implements SnapshotSink {
  readonly rows: { key: string; value: number }[] = []
  finished = false
  aborted: TransportError | undefined
  gate: Promise<void> | undefined
  fault: Error | undefined
  writesAtOnce = 0

  async write(rows: readonly SnapshotRow[]): Promise<void> {
    this.writesAtOnce++
    if (this.writesAtOnce > 1) throw new Error('a second write at a time')
    await this.gate
    if (this.fault !== undefined) throw this.fault
    for (const { key, value } of rows)
      this.rows.push({ key: Buffer.from(key).toString(), value: value.length })
    this.writesAtOnce--
  }

  /** Says how many rows it has. */
  async answer(question: Uint8Array): Promise<Uint8Array> {
    return Buffer.from(`${Buffer.from(question)}: ${this.rows.length}`)
  }

  async finish(): Promise<void> {
    this.finished = true
  }

  abort(cause: TransportError): void {
    this.aborted = cause
  }
}

/** Handlers that record everything in the order in which it came. */
export class Witness implements PeerHandlers {
  readonly messages: { groupId: GroupId; message: Message }[] = []
  readonly events: string[] = []
  readonly faults: TransportError[] = []
  readonly sinks: RowsSink[] = []
  takesSnapshots = true
  prepareSink: (sink: RowsSink) => void = () => undefined

  message(groupId: GroupId, message: Message): void {
    this.messages.push({ groupId, message })
    if (message.type === 'MsgSnap') this.events.push(`snapshot delivered ${message.from}`)
  }

  unreachable(nodeId: number, groupId: GroupId): void {
    this.events.push(`unreachable ${nodeId} in ${groupId}`)
  }

  up(nodeId: number): void {
    this.events.push(`up ${nodeId}`)
  }

  down(nodeId: number, cause: TransportError): void {
    this.events.push(`down ${nodeId}: ${cause.code}`)
  }

  snapshot(): SnapshotSink | undefined {
    if (!this.takesSnapshots) return undefined
    const sink = new RowsSink()
    this.prepareSink(sink)
    this.sinks.push(sink)
    return sink
  }

  fault(_nodeId: number, cause: TransportError): void {
    this.faults.push(cause)
  }

  texts(): string[] {
    return this.messages.map(({ message }) => textOf(message))
  }
}

/** Rows `row-0 …`, in batches, with values of the given length. */
export async function* rowsOf(total: number, valueBytes: number, batch = 10): AsyncGenerator<SnapshotRow[]> {
  for (let at = 0; at < total; at += batch) {
    const rows: SnapshotRow[] = []
    for (let row = at; row < Math.min(total, at + batch); row++) {
      rows.push({ key: Buffer.from(`row-${row}`), value: Buffer.alloc(valueBytes, row) })
    }
    yield rows
  }
}
