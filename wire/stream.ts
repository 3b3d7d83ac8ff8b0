/**
 * The port under all connections: an ordered, reliable stream of bytes, as TCP gives it.
 *
 * It also says how to get one: dial or listen. `tcp.ts` implements it on sockets, `memory-stream.ts` in one process.
 * Invariant: `closed` is called exactly once for a stream that was opened, and nothing is called after it.
 */
import type { TransportError } from './errors.ts'
import type { ClusterSecret } from './proof.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

export interface StreamHandlers {
  /** Bytes in order. The stream never writes into them again: views of them may be kept. */
  data(chunk: Uint8Array): void
  /** What was pending after a `write` has been taken over by the network. */
  drained(): void
  /** The end, by either side; `fault` when it was not an orderly one. */
  closed(fault: Error | undefined): void
}

/** What both sides of a stream can know of each other before they speak. */
export interface Trust {
  /** The first proves this side; any of them, the other. Empty: none is asked for. */
  readonly secrets: readonly ClusterSecret[]
  /** Who the other side may say it is, by its certificate; absent where there is no TLS. */
  readonly principals?: readonly string[]
}

export interface ByteStream {
  /** By this side. */
  readonly isDialled: boolean
  readonly trust: Trust
  /** Who is there, for a log line: `127.0.0.1:4100`. */
  readonly remote: string
  /** Bytes written that the network has not taken over yet. */
  readonly pendingBytes: number
  /** Begins to deliver. Until then nothing is read; called once, right after the stream was handed over. */
  open(handlers: StreamHandlers): void
  /** Queues the parts, in order, as one write. They must not be changed afterwards. */
  write(parts: readonly Uint8Array[]): void
  /** Stops reading; the sender's buffers fill up, then the sender itself waits. */
  pause(): void
  resume(): void
  /** Ends in order: pending bytes still go. */
  end(): void
  /** Ends at once: pending bytes are dropped. */
  destroy(): void
}

/** Calls `done` once, later, with a stream or with why there is none. The answer gives up: `done` is not called. */
export type Dial = (address: Address, done: (outcome: ByteStream | Error) => void) => () => void

export interface StreamServer {
  /** Where it really listens: port 0 asks for any free one. */
  readonly address: Address
  /** Stops listening. Streams that were accepted live on. */
  close(): Promise<void>
}

/**
 * Rejects with `connect_failed` when the address cannot be listened on. `refused` learns of connections that
 * did not become a stream, because of what the other side showed or did not show.
 */
export type Listen = (
  address: Address,
  accept: (stream: ByteStream) => void,
  refused?: (cause: TransportError) => void,
) => Promise<StreamServer>

/** `host:port` → Address, `[::1]:port` included. Throws a RangeError that says what is wrong. */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  const host = match?.[1] ?? match?.[2]
  if (host === undefined || port > 65_535) throw new RangeError(`not an address (host:port): ${text}`)
  return { host, port }
}

export function formatAddress(address: Address): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}
