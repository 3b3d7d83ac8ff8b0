/**
 * Sockets in memory, driven by a test.
 * What the client opened and sent is recorded; each action of the server is a call. Invariant: no handler is called
 * before `open` returned, as the port demands.
 */
import type { ClientFrame, ClientFrameOf, ClientFrameType } from '../../../protocol/client-frames.ts'
import type { ServerFrame } from '../../../protocol/server-frames.ts'
import type { Socket, SocketHandlers, Transport } from '../ports.ts'

export class FakeSocket implements Socket {
  readonly url: string
  readonly subprotocols: readonly string[]
  readonly sent: ClientFrame[] = []
  readonly #handlers: SocketHandlers
  closedByClient: { readonly code: number; readonly reason: string } | undefined
  isClosed = false

  constructor(url: string, subprotocols: readonly string[], handlers: SocketHandlers) {
    this.url = url
    this.subprotocols = subprotocols
    this.#handlers = handlers
  }

  send(data: string | Uint8Array): void {
    if (this.isClosed || this.closedByClient !== undefined) throw new Error('sent on a closed socket')
    this.sent.push(JSON.parse(data as string) as ClientFrame)
  }

  close(code: number, reason: string): void {
    this.closedByClient ??= { code, reason }
  }

  // The server's side.

  accept(subprotocol = this.subprotocols[0] as string): void {
    this.#handlers.onOpen(subprotocol)
  }

  hello(heartbeatMs = 30_000, serverTime = 1_700_000_000_000): void {
    this.accept()
    this.push({ type: 'hello', version: 1, sessionId: 's1', serverTime, heartbeatMs })
  }

  push(frame: ServerFrame): void {
    this.pushText(JSON.stringify(frame))
  }

  pushText(text: string): void {
    this.#handlers.onMessage(text)
  }

  /** The connection breaks, or the server closes it. */
  drop(code = 1006): void {
    this.isClosed = true
    this.#handlers.onClose(code, '')
  }

  sentOf<Type extends ClientFrameType>(type: Type): ClientFrameOf<Type>[] {
    return this.sent.filter((frame): frame is ClientFrameOf<Type> & ClientFrame => frame.type === type)
  }
}

export class FakeTransport implements Transport {
  readonly sockets: FakeSocket[] = []

  open(url: string, subprotocols: readonly string[], handlers: SocketHandlers): FakeSocket {
    const socket = new FakeSocket(url, subprotocols, handlers)
    this.sockets.push(socket)
    return socket
  }

  /** The socket that was opened last. */
  get last(): FakeSocket {
    const socket = this.sockets.at(-1)
    if (socket === undefined) throw new Error('no socket was opened')
    return socket
  }
}
