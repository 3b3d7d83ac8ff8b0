/**
 * What the client core needs from its runtime: sockets, clock, randomness, HTTP.
 * A browser, Node or a simulator provides them. Invariant: the core touches the outside through these ports alone, so
 * that a test drives it without a network and without waiting.
 */

/** A WebSocket that is open or opening. */
export interface Socket {
  /** Only after `onOpen` and before `onClose`; the bytes are copied or sent before the call returns. */
  send(data: string | Uint8Array): void
  /** `onClose` follows, unless it came already. */
  close(code: number, reason: string): void
}

export interface SocketHandlers {
  /** Open; `subprotocol` is the one that the server took. */
  onOpen(subprotocol: string): void
  onMessage(data: string | Uint8Array): void
  /** Called once, also when the socket never opened (code 1006). */
  onClose(code: number, reason: string): void
}

export interface Transport {
  /** Begins to open a WebSocket. No handler is called before this returns. */
  open(url: string, subprotocols: readonly string[], handlers: SocketHandlers): Socket
}

export interface Clock {
  /** Epoch milliseconds by this machine. */
  nowMs(): number
  /** Milliseconds since some fixed moment; never falls. */
  monotonicMs(): number
  /** Calls once after `delayMs`; returns how to call it off. */
  setTimer(delayMs: number, fire: () => void): () => void
}

/** Uniform in [0, 1). */
export type Random = () => number

/** Ids that no other client makes: at least 64 random bits, of the characters of an id. */
export type NewId = () => string

export interface HttpRequest {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

export interface HttpResponse {
  readonly status: number
  readonly headers: { get(name: string): string | null }
  text(): Promise<string>
}

/** The platform's `fetch` fits. Rejects when no answer came. */
export type Fetch = (url: string, request: HttpRequest) => Promise<HttpResponse>
