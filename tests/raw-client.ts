/**
 * A TCP client that speaks HTTP and WebSocket frames and reads only when asked.
 *
 * Attacks and fuzzes send with it what no library sends: pings without end, unfinished messages, wrong lengths, half
 * an upgrade.
 *
 * Invariant: it never answers by itself, neither a ping nor a close. Source: RFC 6455, section 5.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

export interface FrameOptions {
  /** Default true. */
  readonly isFinal?: boolean
  /** What the header says; default: the length of the payload. */
  readonly declaredLength?: number
  /** Default true, as every client must. */
  readonly isMasked?: boolean
}

/** One frame of a client. The mask is zero, so the payload is sent as it is. */
export function frameOf(
  opcode: number,
  payload: string | Uint8Array = '',
  { isFinal = true, declaredLength, isMasked = true }: FrameOptions = {},
): Buffer {
  const bytes = Buffer.from(payload as Uint8Array)
  const length = declaredLength ?? bytes.length
  const mask = isMasked ? 0x80 : 0
  const size = length < 126 ? 0 : length < 65_536 ? 2 : 8
  const head = Buffer.alloc(2 + size + (isMasked ? 4 : 0))
  head[0] = (isFinal ? 0x80 : 0) | opcode
  head[1] = mask | (size === 0 ? length : size === 2 ? 126 : 127)
  if (size === 2) head.writeUInt16BE(length, 2)
  if (size === 8) head.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([head, bytes])
}

export class RawClient {
  readonly socket: Socket
  #chunks: Buffer[] = []
  #hasEnded = false
  isClosed = false
  /** Why the connection broke, such as `ECONNRESET`. */
  errorCode: string | undefined
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>
  /** Resolves when the other side sends nothing more, or the connection is gone. Only a client that reads sees it. */
  readonly ended: Promise<void>

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk) => this.#chunks.push(chunk))
    socket.on('end', () => {
      this.#hasEnded = true
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.errorCode = error.code
    })
    this.closed = new Promise((resolve) =>
      socket.on('close', () => {
        this.isClosed = true
        resolve()
      }),
    )
    this.ended = Promise.race([
      this.closed,
      once(socket, 'end').then(
        () => undefined,
        () => undefined,
      ),
    ])
  }

  /** Connects to the host and port of a URL. */
  static async open(url: string): Promise<RawClient> {
    const { hostname, port } = new URL(url)
    // With half-open sockets allowed, the other side's end does not end this one by itself.
    const socket = connect({ port: Number(port), host: hostname.replace(/[[\]]/g, ''), allowHalfOpen: true })
    const client = new RawClient(socket)
    await once(socket, 'connect')
    return client
  }

  /** Connects and opens a WebSocket at `/ws`; rejects when it is refused. */
  static async openWebSocket(
    url: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<RawClient> {
    const client = await RawClient.open(url)
    client.write(upgradeRequest(headers))
    await client.until((text) => text.includes('\r\n\r\n'))
    const [line = ''] = client.text.split('\r\n')
    if (!line.startsWith('HTTP/1.1 101')) throw new Error(`no WebSocket: ${client.text}`)
    client.#chunks = [client.received.subarray(client.received.indexOf('\r\n\r\n') + 4)]
    return client
  }

  /** What was read so far. */
  get received(): Buffer {
    const all = Buffer.concat(this.#chunks)
    this.#chunks = [all]
    return all
  }

  get text(): string {
    return this.received.toString('latin1')
  }

  /** Writes at once; false: the other side does not read as fast. */
  write(bytes: string | Uint8Array): boolean {
    return !this.isClosed && this.socket.writable && this.socket.write(bytes)
  }

  frame(opcode: number, payload?: string | Uint8Array, options?: FrameOptions): boolean {
    return this.write(frameOf(opcode, payload, options))
  }

  /**
   * Writes the same bytes `times` times, as fast as they are taken. Returns how often: fewer when the connection
   * ended, or when nothing was taken for `stallMs`.
   */
  async flood(bytes: Uint8Array, times: number, stallMs = 2000): Promise<number> {
    for (let sent = 0; sent < times; sent += 1) {
      if (this.isClosed) return sent
      if (this.write(bytes)) continue
      const stalled = new Promise<'stalled'>((resolve) => {
        setTimeout(() => resolve('stalled'), stallMs).unref()
      })
      const drained = new Promise<'drained'>((resolve) => this.socket.once('drain', () => resolve('drained')))
      const outcome = await Promise.race([drained, stalled, this.closed])
      if (outcome !== 'drained') return sent
    }
    return times
  }

  /** Stops reading: what the other side sends fills its buffers. */
  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  /** Waits until what was read fits; rejects when the other side ends before. */
  async until(holds: (text: string) => boolean): Promise<void> {
    while (!holds(this.text)) {
      if (this.isClosed || this.#hasEnded) throw new Error(`closed; it had sent: ${this.text.slice(0, 500)}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  destroy(): void {
    this.socket.destroy()
  }
}

/** The request that opens a WebSocket. */
export function upgradeRequest(headers: Readonly<Record<string, string>> = {}): string {
  return [
    'GET /ws HTTP/1.1',
    'Host: martillo',
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    '\r\n',
  ].join('\r\n')
}
