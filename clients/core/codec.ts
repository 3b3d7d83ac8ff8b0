/**
 * How frames become messages of a socket: one codec for each subprotocol.
 * Invariant: reading never throws; a message that is no frame becomes `undefined`. A frame of an unknown type goes
 * to the session, which ignores it. The web page uses JSON alone, so that it does not carry the other.
 */
import type { ClientFrame } from '../../protocol/client-frames.ts'
import { readJson, writeJson } from '../../protocol/json.ts'
import { answerDepthMax } from '../../protocol/limits.ts'
import { readMsgpack, writeMsgpack } from '../../protocol/msgpack.ts'
import type { ServerFrame } from '../../protocol/server-frames.ts'
import { jsonSubprotocol, msgpackSubprotocol, type Subprotocol } from '../../protocol/subprotocols.ts'

export interface Codec {
  readonly subprotocol: Subprotocol
  encode(frame: ClientFrame): string | Uint8Array
  /** The house is trusted to send the fields that a type has; anything without a type is `undefined`. */
  decode(data: string | Uint8Array): ServerFrame | undefined
}

function asFrame(value: unknown): ServerFrame | undefined {
  const type = (value as { readonly type?: unknown } | null | undefined)?.type
  return typeof type === 'string' ? (value as ServerFrame) : undefined
}

export const jsonCodec: Codec = {
  subprotocol: jsonSubprotocol,
  encode: writeJson,
  decode(data) {
    const read = typeof data === 'string' ? readJson(data, answerDepthMax) : undefined
    return read?.ok === true ? asFrame(read.value) : undefined
  },
}

export const msgpackCodec: Codec = {
  subprotocol: msgpackSubprotocol,
  encode: writeMsgpack,
  decode(data) {
    const read = typeof data === 'string' ? undefined : readMsgpack(data, answerDepthMax)
    return read?.ok === true ? asFrame(read.value) : undefined
  },
}
