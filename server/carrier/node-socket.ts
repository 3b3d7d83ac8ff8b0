/**
 * One WebSocket of the node carrier, and the topics that sockets subscribe to.
 *
 * `ws` reads: it joins fragments, checks masks and lengths, and answers a close. Frames of ours are written straight
 * to the stream, so that a published message is encoded once for all. Invariant: published messages leave at the end
 * of the turn, or before a message that is sent directly to the same socket; a socket over its bound gets no message,
 * and of published ones the rest of the turn is dropped and the first is reported. Source: RFC 6455; spec EDGE7, EDGE8.
 */
import type { Socket as Connection } from 'node:net'
import type { WebSocket } from 'ws'
import type { Clock } from '../../runtime/clock.ts'
import type { Later } from './later.ts'
import type { EdgeHandlers, Socket } from './socket.ts'

const opcodes = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

/** Calls that show that the client is there. */
const signsOfLife = new Set(['message', 'ping', 'pong', 'drain'])

/** Bytes that are written in one system call; more are offered to the network in between. */
const offeredBytesMax = 64 * 1024

/** How long a client may take to answer our close frame before the connection is dropped. */
const closeGraceMs = 5000

/** A frame of a server: final and without a mask. */
export function encodeFrame(opcode: number, payload: string | Uint8Array): Buffer {
  const length = typeof payload === 'string' ? Buffer.byteLength(payload) : payload.length
  const headLength = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const frame = Buffer.allocUnsafe(headLength + length)
  frame[0] = 0x80 | opcode
  frame[1] = headLength === 2 ? length : headLength === 4 ? 126 : 127
  if (headLength === 4) frame.writeUInt16BE(length, 2)
  if (headLength === 10) frame.writeBigUInt64BE(BigInt(length), 2)
  if (typeof payload === 'string') frame.write(payload, headLength)
  else frame.set(payload, headLength)
  return frame
}

/** A published message on its way to the sockets of its topic. */
interface Published {
  readonly message: string | Uint8Array
  readonly frame: Buffer
}

/** Who subscribed to what. Sweeps at the end of each turn in which something was published. */
export class Topics<SocketSession> {
  readonly #socketsOf = new Map<string, Set<NodeSocket<SocketSession>>>()
  #waiting: NodeSocket<SocketSession>[] = []

  add(topic: string, socket: NodeSocket<SocketSession>): void {
    const sockets = this.#socketsOf.get(topic)
    if (sockets === undefined) this.#socketsOf.set(topic, new Set([socket]))
    else sockets.add(socket)
  }

  remove(topic: string, socket: NodeSocket<SocketSession>): void {
    const sockets = this.#socketsOf.get(topic)
    sockets?.delete(socket)
    if (sockets?.size === 0) this.#socketsOf.delete(topic)
  }

  publish(topic: string, message: string | Uint8Array): void {
    const sockets = this.#socketsOf.get(topic)
    if (sockets === undefined) return
    const published = { message, frame: encodeFrame(opcodeOf(message), message) }
    for (const socket of sockets) {
      if (!socket.enqueue(published)) continue
      this.#waiting.push(socket)
      if (this.#waiting.length === 1) setImmediate(() => this.#sweep())
    }
  }

  #sweep(): void {
    const sockets = this.#waiting
    this.#waiting = []
    for (const socket of sockets) socket.deliver()
  }
}

export interface NodeSocketContext<SocketSession> {
  readonly bufferedBytesMax: number
  readonly clock: Clock
  readonly handlers: EdgeHandlers<SocketSession>
  readonly later: Later
  readonly topics: Topics<SocketSession>
}

export class NodeSocket<SocketSession> implements Socket {
  readonly session: SocketSession
  readonly #context: NodeSocketContext<SocketSession>
  readonly #ws: WebSocket
  readonly #stream: Connection
  readonly #topics = new Set<string>()
  readonly #onClosed: () => void
  /** Published, not yet written. */
  #pending: Published[] = []
  #isEnding = false
  #isClosed = false
  #corks = 0
  /** Written since the stream was corked, and not offered to the network. */
  #corkedBytes = 0
  /** Bytes wait in the stream: the client is to be reported when it has read some. */
  #isBehind = false
  #isDrainDue = false
  /** When something last came from the client (monotonic ms). */
  heardMs: number
  /** Bytes from the client up to the last complete message, control frames after it included. */
  #completeBytes: number
  #unfinishedSinceMs: number | undefined

  constructor(
    session: SocketSession,
    transport: { readonly ws: WebSocket; readonly stream: Connection },
    context: NodeSocketContext<SocketSession>,
    onClosed: () => void,
  ) {
    this.session = session
    this.#context = context
    this.#ws = transport.ws
    this.#stream = transport.stream
    this.#onClosed = onClosed
    this.heardMs = context.clock.monotonicMs()
    this.#completeBytes = this.#stream.bytesRead
    const { handlers } = context
    const ws = this.#ws
    ws.on('message', (data: Buffer, isBinary: boolean) => {
      this.#isComplete(this.#stream.bytesRead)
      this.#call('message', () => handlers.message(session, data, isBinary))
    })
    ws.on('ping', (payload: Buffer) => {
      this.#isComplete(this.#completeBytes + controlBytes(payload))
      if (this.#isEnding) return
      if (this.bufferedBytes <= context.bufferedBytesMax) this.#write(encodeFrame(opcodes.pong, payload))
      this.#call('ping', () => handlers.ping(session))
    })
    ws.on('pong', (payload: Buffer) => {
      this.#isComplete(this.#completeBytes + controlBytes(payload))
      this.#call('pong', () => handlers.pong(session))
    })
    // A breach of the protocol: `ws` has sent the close frame that says so.
    ws.on('error', () => this.#finish(1006))
    ws.on('close', (code) => this.#closed(code))
  }

  get isClosed(): boolean {
    return this.#isEnding
  }

  get bufferedBytes(): number {
    const bytes = this.#isClosed ? 0 : this.#stream.writableLength
    // Bytes that were not offered yet do not wait for the client, unless others do before them.
    return bytes === this.#corkedBytes ? 0 : bytes
  }

  send(message: string | Uint8Array): boolean {
    if (this.#isEnding) return false
    this.deliver()
    if (this.bufferedBytes > this.#context.bufferedBytesMax) return false
    this.#write(encodeFrame(opcodeOf(message), message))
    return true
  }

  cork(write: () => void): void {
    if (this.#isEnding) return
    this.#cork()
    try {
      write()
    } finally {
      this.#uncork()
    }
  }

  subscribe(topic: string): void {
    if (this.#isEnding || this.#topics.has(topic)) return
    this.#topics.add(topic)
    this.#context.topics.add(topic, this)
  }

  unsubscribe(topic: string): void {
    if (this.#topics.delete(topic)) this.#context.topics.remove(topic, this)
  }

  ping(): void {
    if (!this.#isEnding) this.#write(encodeFrame(opcodes.ping, ''))
  }

  end(code: number, reason: string): void {
    if (!this.#beginEnd()) return
    this.#context.later.run(() => {
      if (this.#isClosed) return
      const payload = Buffer.alloc(2 + Buffer.byteLength(reason))
      payload.writeUInt16BE(code)
      payload.write(reason, 2)
      this.#stream.write(encodeFrame(opcodes.close, payload))
      this.#finish(code)
    })
  }

  terminate(): void {
    this.#beginEnd()
    this.#context.later.run(() => {
      this.#stream.destroy()
      this.#closed(1006)
    })
  }

  /** Ends the socket when a message of its client is not complete after the time for it. Called now and then. */
  tend(nowMs: number, messageTimeoutMs: number): void {
    if (this.#isEnding || this.#stream.bytesRead <= this.#completeBytes) return
    this.#unfinishedSinceMs ??= nowMs
    if (nowMs - this.#unfinishedSinceMs > messageTimeoutMs) this.end(1008, 'policy')
  }

  #isComplete(bytes: number): void {
    this.#completeBytes = Math.min(bytes, this.#stream.bytesRead)
    if (this.#completeBytes === this.#stream.bytesRead) this.#unfinishedSinceMs = undefined
  }

  /** Takes a published message for the end of the turn; whether it is the first that waits. */
  enqueue(published: Published): boolean {
    return this.#pending.push(published) === 1
  }

  /** Writes what was published, as far as there is room. */
  deliver(): void {
    const batch = this.#pending
    if (batch.length === 0) return
    this.#pending = []
    if (this.#isEnding) return
    const { bufferedBytesMax, handlers } = this.#context
    this.#cork()
    for (const { message, frame } of batch) {
      if (this.bufferedBytes > bufferedBytesMax) {
        const isBinary = typeof message !== 'string'
        const bytes = isBinary ? message : Buffer.from(message)
        this.#call('dropped', () => handlers.dropped(this.session, bytes, isBinary))
        break
      }
      this.#write(frame)
    }
    this.#uncork()
  }

  #write(frame: Buffer): void {
    this.#stream.write(frame, this.#flushed)
    if (this.#corks === 0) this.#offered()
    else {
      this.#corkedBytes += frame.length
      if (this.#corkedBytes > offeredBytesMax) {
        for (let at = 0; at < this.#corks; at += 1) this.#stream.uncork()
        this.#offered()
        for (let at = 0; at < this.#corks; at += 1) this.#stream.cork()
      }
    }
  }

  #cork(): void {
    this.#corks += 1
    this.#stream.cork()
  }

  #uncork(): void {
    this.#corks -= 1
    this.#stream.uncork()
    if (this.#corks === 0) this.#offered()
  }

  /** Everything was offered to the network; what it did not take waits for the client. */
  #offered(): void {
    this.#corkedBytes = 0
    if (this.#stream.writableLength > 0) this.#isBehind = true
  }

  /** The network took a write. Only a socket that was behind has something to report. */
  readonly #flushed = (): void => {
    if (!this.#isBehind || this.#isDrainDue || this.#isEnding) return
    this.#isDrainDue = true
    this.#context.later.run(() => {
      this.#isDrainDue = false
      this.#isBehind = this.#stream.writableLength > 0
      if (!this.#isEnding) this.#call('drain', () => this.#context.handlers.drain(this.session))
    })
  }

  /** Runs a handler of an open socket; when it throws, the socket is closed with 1011. */
  #call(where: string, run: () => void): void {
    if (this.#isEnding && where !== 'close') return
    if (signsOfLife.has(where)) this.heardMs = this.#context.clock.monotonicMs()
    try {
      run()
    } catch (error) {
      this.end(1011, 'internal')
      this.#context.handlers.fault(error, where)
    }
  }

  /** Calls the handler of its opening. */
  opened(): void {
    this.#call('open', () => this.#context.handlers.open(this.session, this))
  }

  #beginEnd(): boolean {
    if (this.#isEnding) return false
    this.#isEnding = true
    for (const topic of this.#topics) this.#context.topics.remove(topic, this)
    this.#topics.clear()
    this.#pending = []
    return true
  }

  /** Ends the connection once everything is written, and in any case after the grace. */
  #finish(code: number): void {
    this.#stream.end()
    const cancel = this.#context.clock.setTimer(closeGraceMs, () => this.#stream.destroy())
    this.#stream.once('close', cancel)
    this.#closed(code)
  }

  #closed(code: number): void {
    if (this.#isClosed) return
    this.#beginEnd()
    this.#isClosed = true
    this.#onClosed()
    this.#call('close', () => this.#context.handlers.close(this.session, code))
  }
}

/** What a control frame of a client takes on the wire: head, mask and payload. */
function controlBytes(payload: Uint8Array): number {
  return 6 + payload.length
}

function opcodeOf(message: string | Uint8Array): number {
  return typeof message === 'string' ? opcodes.text : opcodes.binary
}
