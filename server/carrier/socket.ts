/**
 * The ports to the carrier: HTTP exchanges and WebSockets as the server sees them.
 *
 * `uws.ts` implements them on the network; tests bring their own. Invariant: a `Socket` or `HttpExchange` may be used
 * after its end; calls then do nothing. The carrier calls each handler from its own event-loop turn. A handler may
 * throw or reject: the carrier answers for it and keeps running. What a handler does to sockets never happens inside
 * a callback of the carrier that cannot bear it. Source: docs/spec.md EDGE.
 */
import type { Clock } from '../../runtime/clock.ts'

/** One open WebSocket. */
export interface Socket {
  /** Bytes that wait because the client does not read. 0 once closed. */
  readonly bufferedBytes: number
  readonly isClosed: boolean
  /** Sends one message: text as a text message, bytes as a binary one. False: it was not taken. */
  send(message: string | Uint8Array): boolean
  /** Sends of `write` leave in one system call. */
  cork(write: () => void): void
  /** From the next `publish` on, messages of the topic reach this socket. */
  subscribe(topic: string): void
  unsubscribe(topic: string): void
  ping(): void
  /** Sends a close frame, then ends. The `close` handler is called before this returns. */
  end(code: number, reason: string): void
  /** Drops the connection without a close frame. */
  terminate(): void
}

/** What came with an HTTP request or an upgrade; safe to keep. */
export interface HttpRequest {
  /** Upper case. */
  readonly method: string
  /** As sent, percent-encoding and all, without the query. */
  readonly path: string
  /** Without the question mark. */
  readonly query: string
  /** Of the connection itself, in text; a proxy's address where there is one. */
  readonly peerAddress: string
  /** The value of one of `keptHeaders`, or '' when it was not sent. */
  header(name: KeptHeader): string
}

/** The headers that are read. All others are skipped, to keep a request cheap. */
export const keptHeaders = [
  'authorization',
  'content-type',
  'content-length',
  'transfer-encoding',
  'expect',
  'idempotency-key',
  'idempotency-age',
  'if-none-match',
  'accept-encoding',
  'origin',
  'access-control-request-method',
  'access-control-request-headers',
  'x-forwarded-for',
  'sec-websocket-key',
  'sec-websocket-protocol',
  'sec-websocket-extensions',
] as const
export type KeptHeader = (typeof keptHeaders)[number]

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
  /** The connection ends after this answer (its request was not read to the end). */
  readonly isLast?: boolean
}

export type BodyRead =
  | { readonly ok: true; readonly bytes: Uint8Array }
  /** `aborted`: the client is gone; no answer can be sent. */
  | { readonly ok: false; readonly why: 'too_large' | 'aborted' | 'too_slow' }

export interface HttpExchange {
  readonly request: HttpRequest
  /**
   * The whole body, at most `bytesMax`. The rest of a bigger one is read and dropped, up to `discardedBytesMax`: a
   * client whose connection ends while it sends seldom reads the answer. Call it once, before the first await.
   */
  readBody(bytesMax: number, deadlineMs: number): Promise<BodyRead>
}

/** What to do with a request to open a WebSocket: refuse it as HTTP, or take it with this session. */
export type UpgradeDecision<SocketSession> =
  | { readonly accept: false; readonly answer: HttpAnswer }
  | { readonly accept: true; readonly subprotocol: string; readonly session: SocketSession }

export interface EdgeHandlers<SocketSession> {
  /** Every HTTP request that is not a WebSocket upgrade of `socketPath`. */
  http(exchange: HttpExchange): HttpAnswer | Promise<HttpAnswer>
  /** Decides synchronously: a socket must be opened in the turn of its request (see `uws.ts`). */
  upgrade(request: HttpRequest): UpgradeDecision<SocketSession>
  open(session: SocketSession, socket: Socket): void
  /** `bytes` are valid only until the handler returns. */
  message(session: SocketSession, bytes: Uint8Array, isBinary: boolean): void
  /** The client read some of the waiting bytes. */
  drain(session: SocketSession): void
  /**
   * A message did not fit this socket's buffer; later ones of the same turn may be missing too. Called in the middle
   * of the carrier's work: it may note, and nothing else. `bytes` are mostly a published message, but may be the
   * answer to a ping, which is what the client wrote.
   */
  dropped(session: SocketSession, bytes: Uint8Array, isBinary: boolean): void
  /** A ping came; the carrier answers it, if there is room. */
  ping(session: SocketSession): void
  pong(session: SocketSession): void
  /** The last call for this session. `code` is what the client sent, or 1006. */
  close(session: SocketSession, code: number): void
  /** A handler threw or rejected. The exchange was answered 500, or the socket closed with 1011. */
  fault(error: unknown, where: string): void
}

export interface EdgeOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  readonly socketPath: string
  /** A bigger message from a client ends its socket. */
  readonly messageBytesMax: number
  /** A socket with more unread bytes than this gets no more until it reads. */
  readonly bufferedBytesMax: number
  /** A message that is not complete after this time ends its socket, where the carrier can see it (`node.ts`). */
  readonly messageTimeoutMs: number
  /** A connection without traffic for this long is dropped. 8 to 960. */
  readonly idleTimeoutSeconds: number
  readonly clock: Clock
}

export interface Edge {
  /** Which implementation it is. */
  readonly carrier: 'uws' | 'node'
  readonly host: string
  readonly port: number
  /** To every socket subscribed to the topic, once per event-loop turn and socket, in order. */
  publish(topic: string, message: string | Uint8Array): void
  /** Accepts no new connections; open ones stay. */
  stopListening(): void
  /** Drops all connections. */
  close(): void
}

export class ListenError extends Error {
  readonly code = 'listen_failed'
  readonly retryable = false
}
