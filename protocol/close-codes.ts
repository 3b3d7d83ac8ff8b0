/**
 * Why a WebSocket is closed, by code, and what the client should do then. Invariant: 4xxx codes are the house's own
 * and keep their meaning; `retry` is what clients/core obeys. Source: docs/protocol.md, "WebSocket"; RFC 6455 §7.4.
 */

export interface CloseMeaning {
  /** Stable word, also sent as the close reason. */
  readonly reason: string
  /** `soon`: reconnect with back-off; `later`: with the longest back-off; `never`: the same would happen again. */
  readonly retry: 'soon' | 'later' | 'never'
  readonly title: string
}

export const closeCodes = {
  1001: { reason: 'going_away', retry: 'soon', title: 'The server or its network goes away' },
  1008: { reason: 'policy', retry: 'never', title: 'The session broke a rule of the protocol' },
  1009: { reason: 'frame_too_large', retry: 'later', title: 'A frame was larger than allowed' },
  1011: { reason: 'internal', retry: 'soon', title: 'The server failed to go on with this session' },
  1012: { reason: 'restart', retry: 'soon', title: 'The server restarts; reconnect' },
  1013: { reason: 'overloaded', retry: 'later', title: 'The server is overloaded; retry later' },
  4401: { reason: 'token', retry: 'never', title: 'The token is not valid, or no longer' },
  4408: { reason: 'heartbeat', retry: 'soon', title: 'Nothing was heard from the client for too long' },
  4413: { reason: 'slow_reader', retry: 'soon', title: 'The client reads too slowly for its private frames' },
  4429: { reason: 'rate', retry: 'later', title: 'The client sent too much for too long' },
} as const satisfies Readonly<Record<number, CloseMeaning>>

export type CloseCode = keyof typeof closeCodes

/** The meaning of a close code; codes that are not the house's (1006: the network broke) mean `soon`. */
export function meaningOfClose(code: number): CloseMeaning {
  const known = (closeCodes as Readonly<Record<number, CloseMeaning>>)[code]
  return known ?? { reason: 'connection_lost', retry: 'soon', title: 'The connection was lost' }
}
