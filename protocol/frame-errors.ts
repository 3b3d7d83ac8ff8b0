/**
 * The codes of `{type: "error"}`: faults of a frame or of its session.
 * Invariant: an `error` never means that a bid was refused by a rule (that is `bid_rejected`); where `retry` is true
 * nothing is known to be decided and the same request id may be sent again. Source: docs/protocol.md, "Requests".
 */

export interface FrameErrorMeaning {
  /** Whether sending the same frame again, after a pause, can succeed. */
  readonly retry: boolean
  readonly title: string
}

export const frameErrors = {
  malformed_json: { retry: false, title: 'The text is not JSON' },
  malformed_msgpack: { retry: false, title: 'The bytes are not msgpack of the kinds that are allowed' },
  wrong_encoding: { retry: false, title: 'The subprotocol takes the other kind of frame (text or binary)' },
  too_deep: { retry: false, title: 'Arrays and objects are nested too deep' },
  frame_too_large: { retry: false, title: 'The frame is larger than allowed' },
  not_an_object: { retry: false, title: 'A frame is an object' },
  unknown_type: { retry: false, title: 'There is no client frame of this type' },
  field_invalid: { retry: false, title: 'A field is missing or not of its kind' },
  auction_not_found: { retry: false, title: 'There is no such auction' },
  not_subscribed: { retry: false, title: 'This session does not watch that auction' },
  limit_exceeded: { retry: false, title: 'A limit of the session is reached' },
  rate_limited: { retry: true, title: 'Too many frames; slow down' },
  unavailable: { retry: true, title: 'No leader is reachable; nothing was decided' },
  outcome_unknown: {
    retry: true,
    title: 'It is not known whether this was decided; ask again with the same id',
  },
  overloaded: { retry: true, title: 'The house is overloaded; nothing was decided' },
  draining: { retry: true, title: 'This server is stopping; reconnect' },
  internal: { retry: true, title: 'The server failed at this frame' },
} as const satisfies Readonly<Record<string, FrameErrorMeaning>>

export type FrameErrorCode = keyof typeof frameErrors
