/**
 * From a client's WebSocket message to a checked frame, for both subprotocols.
 * Invariant: decoding never throws; the size is checked first, then the encoding with its depth, then the fields. The
 * server decides how a refusal is answered. Source: docs/protocol.md, "WebSocket", spec WIRE1 to WIRE4.
 */
import { type FrameRead, readClientFrame } from './client-frames.ts'
import { readJson } from './json.ts'
import { frameBytesMax } from './limits.ts'
import { readMsgpack } from './msgpack.ts'

const tooLarge: FrameRead = {
  ok: false,
  code: 'frame_too_large',
  message: `a frame has at most ${frameBytesMax} bytes`,
}

/** Reads a text frame of `martillo.v1.json`. UTF-16 units never outnumber the bytes, which the socket bounds. */
export function decodeClientText(text: string): FrameRead {
  if (text.length > frameBytesMax) return tooLarge
  const read = readJson(text)
  return read.ok ? readClientFrame(read.value) : read
}

/** Reads a binary frame of `martillo.v1.msgpack`. Keeps nothing of `bytes`. */
export function decodeClientBinary(bytes: Uint8Array): FrameRead {
  if (bytes.length > frameBytesMax) return tooLarge
  const read = readMsgpack(bytes)
  return read.ok ? readClientFrame(read.value) : read
}
