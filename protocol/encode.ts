/**
 * A server frame as text and as bytes, encoded once for all sockets.
 * Invariant: each encoding is made at most once, when the first socket of its subprotocol needs it; both have the
 * same content. The server decides who gets a frame. Source: docs/protocol.md, "Values".
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
