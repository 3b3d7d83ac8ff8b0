/**
 * The edge as ports: what the server needs from whatever carries its HTTP exchanges and WebSockets. `uws.ts` is
 * the one that faces the network; tests and the simulator bring their own.
 * Invariant: a `Socket` or `HttpExchange` may be used after its end: calls then do nothing. Each handler is called
 * by the carrier from its own event-loop turn, and may throw or reject: the carrier answers for it and lives on.
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

/** Headers that are read; all others are left alone, so that a request costs what it needs. */
export const keptHeaders = [
  'authorization',
  'content-type',
  'content-length',
  'transfer-encoding',
  'expect',
  'idempotency-key',
  'if-none-match',
  'accept-encoding',
  'origin',
  'access-control-request-method',
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
  /** `aborted`: the client is gone, there is nobody to answer. */
  | { readonly ok: false; readonly why: 'too_large' | 'aborted' | 'too_slow' }

export interface HttpExchange {
  readonly request: HttpRequest
  /**
   * The whole body, at most `bytesMax`. Of a bigger one the rest is read and dropped, up to `discardedBytesMax`: who
   * is cut off while still sending seldom gets to read why. To be called before the handler's first await, once.
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
  /** At once: carriers cannot be trusted to open a socket later than in the turn of its request. */
  upgrade(request: HttpRequest): UpgradeDecision<SocketSession>
  open(session: SocketSession, socket: Socket): void
  /** `bytes` are the handler's only until it returns. */
  message(session: SocketSession, bytes: Uint8Array, isBinary: boolean): void
  /** The client read something of what waited. */
  drain(session: SocketSession): void
  /** A published message, and maybe later ones of the same turn, did not fit this socket's buffer. */
  dropped(session: SocketSession, bytes: Uint8Array, isBinary: boolean): void
  pong(session: SocketSession): void
  /** The last call for this session. */
  close(session: SocketSession, code: number): void
  /** What a handler threw or rejected with. The exchange was answered 500, the socket closed 1011. */
  fault(error: unknown, where: string): void
}

export interface EdgeOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  readonly socketPath: string
  /** A bigger message from a client ends its socket. */
  readonly messageBytesMax: number
  /** A socket with more than this unread gets no more, until it reads. */
  readonly bufferedBytesMax: number
  /** Without a sign of life for this long the connection is dropped. 8 to 960. */
  readonly idleTimeoutSeconds: number
  readonly clock: Clock
}

export interface Edge {
  readonly host: string
  readonly port: number
  /** To every socket subscribed to the topic, once per event-loop turn and socket, in order. */
  publish(topic: string, message: string | Uint8Array): void
  /** No new connections from now on; those that are there stay. */
  stopListening(): void
  /** Drops whatever is left. */
  close(): void
}

export class ListenError extends Error {
  readonly code = 'listen_failed'
  readonly retryable = false
}
