/**
 * Keeps one connection to one address.
 *
 * It dials, says hello, and after an end dials again with growing waits. Peers, link clients and heartbeats use it.
 * Invariant: at most one attempt or connection at a time, and none after `close`. After a refusal the longest wait is
 * kept, because only an operator can change its reason. Source: docs/spec.md PEER16.
 */

import { Backoff, type BackoffLimits } from '../runtime/backoff.ts'
import type { CancelTimer } from '../runtime/clock.ts'
import { Connection, type ConnectionHandlers, type ConnectionLimits } from './connection.ts'
import { TransportError, toTransportError } from './errors.ts'
import type { Hello, Refusal } from './handshake.ts'
import { type Address, type ByteStream, type Dial, formatAddress } from './stream.ts'
import type { Timing } from './timing.ts'

export interface DialerOptions {
  readonly address: Address
  readonly dial: Dial
  readonly timing: Timing
  readonly limits: ConnectionLimits
  readonly backoff: BackoffLimits
  /** How long an attempt may take, hello included. */
  readonly connectTimeoutMs: number
  readonly hello: () => Hello
  readonly judge: (theirs: Hello) => Refusal | undefined
  readonly opened: (connection: Connection, theirs: Hello) => ConnectionHandlers
  /** An attempt failed. Another one follows. */
  readonly failed: (cause: TransportError) => void
}

/** After a connection that lived this long, the waits begin again at the base. */
const steadyMs = 1_000

export class Dialer {
  readonly #options: DialerOptions
  readonly #backoff: Backoff
  #connection: Connection | undefined
  #cancelDial: (() => void) | undefined
  #cancelTimer: CancelTimer | undefined
  #closed = false

  constructor(options: DialerOptions) {
    this.#options = options
    this.#backoff = new Backoff(options.backoff, options.timing.random)
    this.#attempt()
  }

  get connection(): Connection | undefined {
    return this.#connection?.isOpen === true ? this.#connection : undefined
  }

  /** The other side is known to be up: dials now. */
  kick(): void {
    if (this.#closed || this.#connection !== undefined || this.#cancelDial !== undefined) return
    this.#backoff.reset()
    this.#attempt()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#cancelTimer?.()
    this.#cancelDial?.()
    this.#connection?.close()
  }

  #attempt(): void {
    const { address, dial, timing, connectTimeoutMs } = this.#options
    this.#cancelTimer?.()
    const cancelDial = dial(address, (outcome) => {
      this.#cancelDial = undefined
      if (outcome instanceof Error) this.#failed(toTransportError(outcome, 'connect_failed'))
      else this.#connect(outcome)
    })
    this.#cancelDial = cancelDial
    this.#cancelTimer = timing.clock.setTimer(connectTimeoutMs, () => {
      const message = `${formatAddress(address)} did not answer within ${connectTimeoutMs} ms`
      const fault = new TransportError('connect_failed', message)
      if (this.#cancelDial === undefined) this.#connection?.fail(fault)
      else {
        this.#cancelDial()
        this.#cancelDial = undefined
        this.#failed(fault)
      }
    })
  }

  #connect(stream: ByteStream): void {
    const { timing, limits, hello, judge, opened } = this.#options
    this.#connection = new Connection({
      stream,
      timing,
      limits,
      hello: hello(),
      judge,
      opened: (connection, theirs) => {
        this.#cancelTimer?.()
        const openedMs = timing.clock.monotonicMs()
        const handlers = opened(connection, theirs)
        return {
          frame: handlers.frame.bind(handlers),
          writable: handlers.writable.bind(handlers),
          closed: (cause) => {
            this.#connection = undefined
            if (timing.clock.monotonicMs() - openedMs >= steadyMs) this.#backoff.reset()
            handlers.closed(cause)
            this.#retry(cause)
          },
        }
      },
      failed: (cause) => this.#failed(cause),
    })
  }

  #failed(cause: TransportError): void {
    this.#connection = undefined
    if (this.#closed) return
    this.#options.failed(cause)
    this.#retry(cause)
  }

  #retry(cause: TransportError): void {
    if (this.#closed) return
    this.#cancelTimer?.()
    if (cause.code === 'refused') this.#backoff.atBound()
    this.#cancelTimer = this.#options.timing.clock.setTimer(this.#backoff.nextMs(), () => this.#attempt())
  }
}
