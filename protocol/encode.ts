/**
 * A server frame as bytes, once for however many sockets take it. Invariant: each encoding is made at most once,
 * when the first socket of its subprotocol needs it; both say the same. Who gets a frame is the server's affair.
 * Source: docs/protocol.md, "Values".
 */
import { writeJson } from './json.ts'
import { writeMsgpack } from './msgpack.ts'
import type { ServerFrame } from './server-frames.ts'

export interface EncodedFrame {
  readonly frame: ServerFrame
  /** The text of a `martillo.v1.json` message. */
  json(): string
  /** The payload of a `martillo.v1.msgpack` message. Not to be written to. */
  msgpack(): Uint8Array
}

/** Wraps a frame so that each subprotocol's form is made once, on demand. */
export function encodeServerFrame(frame: ServerFrame): EncodedFrame {
  let text: string | undefined
  let bytes: Uint8Array | undefined
  return {
    frame,
    json: () => (text ??= writeJson(frame)),
    msgpack: () => (bytes ??= writeMsgpack(frame)),
  }
}
