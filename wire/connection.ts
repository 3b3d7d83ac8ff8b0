/**
 * One connection to another process: hello, frames both ways, heartbeats, and its end.
 *
 *     greeting ──hello accepted──► open ──► closed
 *        └────────refusal, silence, fault────────▲
 *
 * Invariants: `closed` is called once, and nothing after it; frames of one turn of the event loop leave in one write;
 * what waits to leave is bounded (`send` returns false at the bound, and `writable` follows when there is room).
 * Silence is counted in ticks of its own timer, so a process that was paused listens before it judges. The dialler
 * decides about the next connection. Source: docs/spec.md PEER1 to PEER9.
 */
import type { CancelTimer } from '../runtime/clock.ts'
import { TransportError } from './errors.ts'
import { FrameDecoder, frameBytesMax, frameParts } from './frame.ts'
import { Greeting } from './greeting.ts'
import { decodeRefusal, encodeRefusal, type Hello, helloBytesMax, type Refusal } from './handshake.ts'
import { type FrameKind, frameKinds } from './kinds.ts'
import { nonceBytes } from './proof.ts'
import type { ByteStream } from './stream.ts'
import type { Timing } from './timing.ts'

export interface ConnectionLimits {
  /** A side that sent nothing for this long sends a ping. */
  readonly heartbeatMs: number
  /** After so many intervals in which nothing arrived, the other side counts as gone. */
  readonly silentHeartbeatsMax: number
  /** Bytes that may wait to leave. */
  readonly outBytesMax: number
  /** How long the handshake may take, whatever the other side sends meanwhile. */
  readonly greetingMs: number
}

/** The default on both sides: the heartbeats of one suit the patience of the other. */
export const connectionLimits: ConnectionLimits = {
  heartbeatMs: 100,
  silentHeartbeatsMax: 5,
  outBytesMax: 16 * 1024 * 1024,
  greetingMs: 2_000,
}

export interface ConnectionHandlers {
  frame(kind: number, body: Uint8Array): void
  /** After `send` returned false: there is room again. */
  writable(): void
  closed(cause: TransportError): void
}

export interface ConnectionOptions {
  readonly stream: ByteStream
  readonly timing: Timing
  readonly limits: ConnectionLimits
  readonly hello: Hello
  /** A reason to refuse the other side, or none. */
  readonly judge: (theirs: Hello) => Refusal | undefined
  /** Gives the handlers once both sides may talk; may send already. */
  readonly opened: (connection: Connection, theirs: Hello) => ConnectionHandlers
  /** Instead of `handlers.closed`, while there are none. */
  readonly failed: (cause: TransportError) => void
}

/** Parts longer than this are handed to the network by reference, shorter ones are gathered into one buffer. */
const gatheredPartBytesMax = 8 * 1024
/** How long an orderly end may take to reach the other side. */
const lingerMs = 1_000

export class Connection {
  readonly #options: ConnectionOptions
  readonly #stream: ByteStream
  readonly #decoder = new FrameDecoder(helloBytesMax)
  readonly #greeting: Greeting
  #handlers: ConnectionHandlers | undefined
  #greeted = false
  #closed = false
  #out: Uint8Array[] = []
  #outBytes = 0
  #flushAwaited = false
  /** `send` returned false, and `writable` follows. */
  #blocked = false
  #paused = false
  #delivering = false
  #received = false
  #sent = false
  #missed = 0
  #cancelTick: CancelTimer | undefined
  #cancelGreeting: CancelTimer | undefined
  #cancelLinger: CancelTimer | undefined

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#stream = options.stream
    const { stream, timing, hello, judge } = options
    this.#greeting = new Greeting({
      stream,
      hello,
      judge,
      nonce: timing.randomBytes(nonceBytes),
      say: (kind, body) => this.#push(kind, [body]),
    })
    this.#stream.open({
      data: (chunk) => {
        if (this.#closed) return
        this.#decoder.push(chunk)
        this.#deliver()
      },
      drained: () => this.#offerRoom(),
      closed: (fault) => {
        this.#cancelLinger?.()
        const { remote } = this.#stream
        const how = fault === undefined ? `${remote} closed the connection` : `${remote}: ${fault.message}`
        if (this.#greeted) this.fail(new TransportError('closed', how, { cause: fault }))
        else {
          const text = `${how} before it said who it is: do both sides use TLS, or neither, with certificates of one authority?`
          this.fail(new TransportError('not_greeted', text, { cause: fault }))
        }
      },
    })
    this.#scheduleTick()
    this.#limitGreeting()
  }

  get remote(): string {
    return this.#stream.remote
  }

  get isOpen(): boolean {
    return this.#greeted && !this.#closed
  }

  /** Nothing arrived during the last heartbeat interval. */
  get isQuiet(): boolean {
    return this.#missed > 0
  }

  /** Bytes that wait to leave this process. */
  get waitingBytes(): number {
    return this.#outBytes + this.#stream.pendingBytes
  }

  /**
   * Queues a frame; it leaves at the end of this turn. `false`: it was not taken, because the connection is not
   * open or as much waits as may; in the latter case `writable` follows.
   */
  send(kind: FrameKind, parts: readonly Uint8Array[]): boolean {
    if (!this.isOpen) return false
    if (this.waitingBytes >= this.#options.limits.outBytesMax) {
      this.#blocked = true
      return false
    }
    this.#push(kind, parts)
    return true
  }

  /** Stops handing out frames, and soon reading. The other side is not taken for silent meanwhile. */
  pause(): void {
    if (this.#paused || this.#closed) return
    this.#paused = true
    this.#stream.pause()
  }

  resume(): void {
    if (!this.#paused || this.#closed) return
    this.#paused = false
    this.#missed = 0
    this.#stream.resume()
    this.#options.timing.afterTurn(() => this.#deliver())
  }

  /** Ends in order: what was sent still arrives. `handlers.closed` is called with `stopped`. */
  close(): void {
    if (this.#closed) return
    this.#flush()
    this.#finish(new TransportError('stopped', 'this side closed the connection'), () => this.#endStream())
  }

  /** Ends at once because of a fault; `handlers.closed` is called with it. */
  fail(cause: TransportError): void {
    if (this.#closed) return
    this.#finish(cause, () => this.#stream.destroy())
  }

  #endStream(): void {
    this.#cancelLinger = this.#options.timing.clock.setTimer(lingerMs, () => this.#stream.destroy())
    this.#stream.end()
  }

  #finish(cause: TransportError, endStream: () => void): void {
    this.#closed = true
    this.#cancelTick?.()
    this.#cancelGreeting?.()
    this.#out = []
    this.#outBytes = 0
    endStream()
    if (this.#handlers === undefined) this.#options.failed(cause)
    else this.#handlers.closed(cause)
  }

  #push(kind: FrameKind, parts: readonly Uint8Array[]): void {
    for (const part of frameParts(kind, parts)) {
      this.#out.push(part)
      this.#outBytes += part.length
    }
    if (this.#flushAwaited) return
    this.#flushAwaited = true
    this.#options.timing.afterTurn(() => {
      this.#flushAwaited = false
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#closed || this.#outBytes === 0) return
    const parts = gather(this.#out)
    this.#out = []
    this.#outBytes = 0
    this.#sent = true
    this.#stream.write(parts)
    this.#offerRoom()
  }

  #offerRoom(): void {
    if (!this.#blocked || this.#closed) return
    if (this.waitingBytes > this.#options.limits.outBytesMax / 2) return
    this.#blocked = false
    this.#handlers?.writable()
  }

  /** Hands out what the decoder holds until it is empty, or the consumer has paused it, or a fault closes it. */
  #deliver(): void {
    if (this.#delivering) return
    this.#delivering = true
    try {
      while (!this.#paused && !this.#closed) {
        const frame = this.#decoder.next()
        if (frame === undefined) break
        this.#received = true
        this.#receive(frame.kind, frame.body)
      }
    } catch (thrown) {
      if (!(thrown instanceof TransportError)) throw thrown
      this.fail(thrown)
    } finally {
      this.#delivering = false
    }
  }

  #receive(kind: number, body: Uint8Array): void {
    if (kind === frameKinds.refusal) this.#refused(body)
    else if (!this.#greeted) this.#greet(kind, body)
    else if (kind === frameKinds.greeting || kind === frameKinds.proof || kind === frameKinds.hello) {
      throw new TransportError('malformed', 'a second handshake')
    } else if (kind !== frameKinds.ping) this.#handlers?.frame(kind, body)
  }

  /** The code of a refusal counts only from a side that may refuse: one that has proved the secret. */
  #refused(body: Uint8Array): void {
    const { code, reason } = decodeRefusal(body)
    const message = `${this.remote} refused this side: ${code}: ${reason}`
    this.fail(new TransportError('refused', message, this.#greeting.isProved ? { theirRefusal: code } : {}))
  }

  #greet(kind: number, body: Uint8Array): void {
    const step = this.#greeting.receive(kind, body)
    if (step === undefined) return
    if ('refusal' in step) {
      this.#refuse(step.refusal)
      return
    }
    this.#decoder.bytesMax = frameBytesMax
    this.#greeted = true
    this.#cancelGreeting?.()
    this.#handlers = this.#options.opened(this, step.theirs)
  }

  #refuse(refusal: Refusal): void {
    this.#push(frameKinds.refusal, [encodeRefusal(refusal)])
    this.#flush()
    const cause = new TransportError('refused', `refused ${this.remote}: ${refusal.code}: ${refusal.reason}`)
    this.#finish(cause, () => this.#endStream())
  }

  #limitGreeting(): void {
    const { timing, limits } = this.#options
    const { greetingMs } = limits
    this.#cancelGreeting = timing.clock.setTimer(greetingMs, () => {
      const text = `${this.remote} did not end its handshake within ${greetingMs} ms`
      this.fail(new TransportError('silent', text))
    })
  }

  #scheduleTick(): void {
    const { timing, limits } = this.#options
    this.#cancelTick = timing.clock.setTimer(limits.heartbeatMs, () => this.#tick())
  }

  #tick(): void {
    const { heartbeatMs, silentHeartbeatsMax } = this.#options.limits
    this.#missed = this.#received || this.#paused ? 0 : this.#missed + 1
    this.#received = false
    if (this.#missed >= silentHeartbeatsMax) {
      const silentMs = this.#missed * heartbeatMs
      this.fail(new TransportError('silent', `nothing arrived from ${this.remote} for ${silentMs} ms`))
      return
    }
    if (!this.#sent && this.#greeted) this.#push(frameKinds.ping, [])
    this.#sent = false
    this.#scheduleTick()
  }
}

/** Short neighbours become one buffer; long parts stay as they are. */
function gather(parts: readonly Uint8Array[]): Uint8Array[] {
  const gathered: Uint8Array[] = []
  let short: Uint8Array[] = []
  const closeRun = () => {
    if (short.length > 0) gathered.push(short.length === 1 ? (short[0] as Uint8Array) : Buffer.concat(short))
    short = []
  }
  for (const part of parts) {
    if (part.length <= gatheredPartBytesMax) short.push(part)
    else {
      closeRun()
      gathered.push(part)
    }
  }
  closeRun()
  return gathered
}
