/**
 * The frames of a snapshot in flight, and rows as bytes. All tuples begin with the stream's id, chosen by the
 * sender, unique on its connection.
 *
 *     begin  [stream, raft message MsgSnap]      credit [stream, chunks stored]
 *     chunk  [stream, sequence, crc32] + rows    done   [stream]
 *     end    [stream, chunks, rows, crc32]       abort  [stream, by the sender, reason]
 *     question [stream] + bytes                  answer [stream] + bytes
 *
 *     rows:  | key length u32 | key | value length u32 | value | …
 *
 * The crc32 of a chunk continues that of the chunk before it, so it covers all rows so far and their order;
 * that of the end is the last one. Invariant: decoded rows are views of the frame they came in, never more.
 */
import { Fields, malformed, packTuple, unpackTuple } from '../../wire/tuples.ts'

export interface SnapshotRow {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

export interface ChunkHead {
  readonly stream: number
  /** 0, 1, 2 … */
  readonly sequence: number
  readonly checksum: number
}

export interface SnapshotEnd {
  readonly stream: number
  readonly chunks: number
  readonly rows: number
  readonly checksum: number
}

export interface SnapshotAbort {
  readonly stream: number
  readonly bySender: boolean
  readonly reason: string
}

/** Bytes of a row beyond key and value. */
const rowOverheadBytes = 8
const prefixBytes = 4
const reasonLengthMax = 1_000
const uint32Max = 0xffffffff

export function rowBytes(row: SnapshotRow): number {
  return rowOverheadBytes + row.key.length + row.value.length
}

/** Copies the row to `at`, where `rowBytes(row)` must fit, and gives the position behind it. */
export function writeRow(buffer: Buffer, at: number, row: SnapshotRow): number {
  let end = buffer.writeUInt32BE(row.key.length, at)
  buffer.set(row.key, end)
  end = buffer.writeUInt32BE(row.value.length, end + row.key.length)
  buffer.set(row.value, end)
  return end + row.value.length
}

/** Throws `malformed`. */
export function decodeRows(bytes: Uint8Array): SnapshotRow[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const rows: SnapshotRow[] = []
  let at = 0
  const piece = () => {
    const start = at + 4
    const end = start <= bytes.length ? start + view.getUint32(at) : Number.POSITIVE_INFINITY
    if (end > bytes.length) throw malformed('snapshot: a row is cut off')
    at = end
    return bytes.subarray(start, end)
  }
  while (at < bytes.length) rows.push({ key: piece(), value: piece() })
  return rows
}

export function encodeBegin(stream: number, message: readonly Uint8Array[]): Uint8Array[] {
  return withHead([stream], message)
}

export function decodeBegin(body: Uint8Array): { stream: number; message: Uint8Array } {
  const { fields, rest } = splitHead(body, 'snapshot begin')
  const stream = fields.integer()
  fields.end()
  return { stream, message: rest }
}

/** A question or the answer to it; one question of a stream is open at a time. */
export function encodeAsked(stream: number, bytes: Uint8Array): Uint8Array[] {
  return withHead([stream], [bytes])
}

export function decodeAsked(body: Uint8Array): { stream: number; bytes: Uint8Array } {
  const { fields, rest } = splitHead(body, 'snapshot question')
  const stream = fields.integer()
  fields.end()
  return { stream, bytes: rest }
}

export function encodeChunk(head: ChunkHead, rows: Uint8Array): Uint8Array[] {
  return withHead([head.stream, head.sequence, head.checksum], [rows])
}

export function decodeChunk(body: Uint8Array): { head: ChunkHead; rows: Uint8Array } {
  const { fields, rest } = splitHead(body, 'snapshot chunk')
  const head = {
    stream: fields.integer(),
    sequence: fields.integer(),
    checksum: fields.integer(0, uint32Max),
  }
  fields.end()
  return { head, rows: rest }
}

export function encodeEnd(end: SnapshotEnd): Uint8Array {
  return packTuple([end.stream, end.chunks, end.rows, end.checksum])
}

export function decodeEnd(body: Uint8Array): SnapshotEnd {
  const fields = new Fields(unpackTuple(body), 'snapshot end')
  const end = {
    stream: fields.integer(),
    chunks: fields.integer(),
    rows: fields.integer(),
    checksum: fields.integer(0, uint32Max),
  }
  fields.end()
  return end
}

export function encodeCredit(stream: number, chunks: number): Uint8Array {
  return packTuple([stream, chunks])
}

export function decodeCredit(body: Uint8Array): { stream: number; chunks: number } {
  const fields = new Fields(unpackTuple(body), 'snapshot credit')
  const credit = { stream: fields.integer(), chunks: fields.integer() }
  fields.end()
  return credit
}

export function encodeDone(stream: number): Uint8Array {
  return packTuple([stream])
}

export function decodeDone(body: Uint8Array): number {
  const fields = new Fields(unpackTuple(body), 'snapshot done')
  const stream = fields.integer()
  fields.end()
  return stream
}

export function encodeAbort(abort: SnapshotAbort): Uint8Array {
  return packTuple([abort.stream, abort.bySender, abort.reason.slice(0, reasonLengthMax)])
}

export function decodeAbort(body: Uint8Array): SnapshotAbort {
  const fields = new Fields(unpackTuple(body), 'snapshot abort')
  const abort = { stream: fields.integer(), bySender: fields.flag(), reason: fields.text(reasonLengthMax) }
  fields.end()
  return abort
}

/** | head length u32 | head | rest … */
function withHead(head: readonly unknown[], rest: readonly Uint8Array[]): Uint8Array[] {
  const packed = packTuple(head)
  const prefix = Buffer.allocUnsafe(prefixBytes)
  prefix.writeUInt32BE(packed.length, 0)
  return [prefix, packed, ...rest]
}

function splitHead(body: Uint8Array, what: string): { fields: Fields; rest: Uint8Array } {
  if (body.length < prefixBytes) throw malformed(`${what}: too short`)
  const end = prefixBytes + new DataView(body.buffer, body.byteOffset, prefixBytes).getUint32(0)
  if (end > body.length) throw malformed(`${what}: the head is cut off`)
  const fields = new Fields(unpackTuple(body.subarray(prefixBytes, end)), what)
  return { fields, rest: body.subarray(end) }
}
