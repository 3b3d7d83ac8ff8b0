/**
 * The names that a client offers in `Sec-WebSocket-Protocol`, and which of them the house takes. Invariant: a token
 * that came as `bearer.<token>` is never echoed, so it is never the answer. Source: docs/protocol.md, "WebSocket";
 * RFC 6455 §4.2.2.
 */
import { tokenLengthMax } from './limits.ts'

export const jsonSubprotocol = 'martillo.v1.json'
export const msgpackSubprotocol = 'martillo.v1.msgpack'

export type Subprotocol = typeof jsonSubprotocol | typeof msgpackSubprotocol

const bearerPrefix = 'bearer.'

/** The subprotocol that carries a token where a client cannot set headers (browsers). */
export function bearerSubprotocol(token: string): string {
  return bearerPrefix + token
}

export interface Offer {
  /** The first offered one that the house speaks; absent: none. */
  readonly subprotocol?: Subprotocol
  readonly token?: string
}

/** Reads the `Sec-WebSocket-Protocol` header of an upgrade (comma-separated, in the client's order). */
export function readOffer(header: string): Offer {
  let subprotocol: Subprotocol | undefined
  let token: string | undefined
  for (const part of header.split(',')) {
    const name = part.trim()
    if (name === jsonSubprotocol || name === msgpackSubprotocol) subprotocol ??= name
    else if (name.startsWith(bearerPrefix) && name.length <= bearerPrefix.length + tokenLengthMax)
      token ??= name.slice(bearerPrefix.length)
  }
  return {
    ...(subprotocol === undefined ? {} : { subprotocol }),
    ...(token === undefined ? {} : { token }),
  }
}
