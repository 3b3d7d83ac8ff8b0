/**
 * The transport over a WebSocket class: a browser's, Node's, or the `ws` package's.
 * Invariant: opening never throws and ends in exactly one `onClose`, also where the class refuses the address.
 */
import type { Clock, Socket, SocketHandlers, Transport } from './ports.ts'

interface WebSocketLike {
  binaryType: string
  readonly protocol: string
  onopen: ((event: never) => void) | null
  onmessage: ((event: { data: unknown } & never) => void) | null
  onerror: ((event: never) => void) | null
  onclose: ((event: { code: number; reason: string } & never) => void) | null
  send(data: string | Uint8Array<ArrayBuffer>): void
  close(code?: number, reason?: string): void
}

export type WebSocketClass = new (url: string, subprotocols: string[]) => WebSocketLike

const abnormalClosure = 1006

/** Makes a transport of a WebSocket class; the clock only defers the report of an address that it refuses. */
export function webSocketTransport(WebSocketOf: WebSocketClass, clock: Clock): Transport {
  return {
    open(url: string, subprotocols: readonly string[], handlers: SocketHandlers): Socket {
      let socket: WebSocketLike
      try {
        socket = new WebSocketOf(url, [...subprotocols])
      } catch (error) {
        clock.setTimer(0, () => handlers.onClose(abnormalClosure, String(error)))
        return { send() {}, close() {} }
      }
      socket.binaryType = 'arraybuffer'
      socket.onopen = () => handlers.onOpen(socket.protocol)
      socket.onmessage = ({ data }: { data: unknown }) =>
        handlers.onMessage(typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer))
      // A close with a code follows every error; without a listener some classes throw it instead.
      socket.onerror = () => {}
      socket.onclose = ({ code, reason }: { code: number; reason: string }) => handlers.onClose(code, reason)
      return {
        send: (data) => socket.send(data as string | Uint8Array<ArrayBuffer>),
        close: (code, reason) => socket.close(code, reason),
      }
    },
  }
}
