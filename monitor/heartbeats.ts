/**
 * The heartbeats that a server sends: one connection to each monitor.
 *
 * Invariant: a server works without any monitor; a monitor that cannot be reached is no fault and stops nothing.
 * Source: docs/spec.md WATCH1 and WATCH5.
 */
import type { ServerId } from '../protocol/ids.ts'
import type { BackoffLimits } from '../runtime/backoff.ts'
import type { CancelTimer } from '../runtime/clock.ts'
import type { Connection, ConnectionHandlers } from '../wire/connection.ts'
import { Dialer } from '../wire/dialer.ts'
import { judgeHello } from '../wire/handshake.ts'
import { frameKinds } from '../wire/kinds.ts'
import type { Address, Dial } from '../wire/stream.ts'
import type { Timing } from '../wire/timing.ts'
import {
  encodeHeartbeat,
  type Heartbeat,
  heartbeatLimits,
  heartbeatMs,
  serverHello,
} from './heartbeat-codec.ts'

export interface HeartbeatsOptions {
  readonly monitors: readonly Address[]
  readonly serverId: ServerId
  /** Names this start of the process. */
  readonly instance: string
  readonly dial: Dial
  readonly timing: Timing
  readonly load: () => Omit<Heartbeat, 'type'>
}

const backoff: BackoffLimits = { baseMs: 50, maxMs: 1_000 }
const connectTimeoutMs = 1_000

export function startHeartbeats(options: HeartbeatsOptions): Heartbeats {
  return new Heartbeats(options)
}

export class Heartbeats {
  readonly #options: HeartbeatsOptions
  readonly #dialers: readonly Dialer[]
  #cancelNext: CancelTimer = () => undefined
  #isLeaving = false

  constructor(options: HeartbeatsOptions) {
    this.#options = options
    this.#dialers = options.monitors.map((address) => this.#dialerTo(address))
    this.#repeat()
  }

  /** How many monitors are connected. */
  get connected(): number {
    return this.#connections().length
  }

  /** The server stops as planned: the end of its connections is no death. */
  leave(): void {
    this.#isLeaving = true
    for (const connection of this.#connections()) connection.send(frameKinds.farewell, [])
  }

  close(): void {
    this.#cancelNext()
    for (const dialer of this.#dialers) dialer.close()
  }

  #dialerTo(address: Address): Dialer {
    const { serverId, instance, dial, timing } = this.#options
    const hello = serverHello(serverId, instance)
    return new Dialer({
      address,
      dial,
      timing,
      limits: heartbeatLimits,
      backoff,
      connectTimeoutMs,
      hello: () => hello,
      judge: (theirs) => judgeHello(hello, theirs, { roles: ['monitor'] }),
      opened: (connection) => this.#opened(connection),
      failed: () => undefined,
    })
  }

  #opened(connection: Connection): ConnectionHandlers {
    if (this.#isLeaving) connection.send(frameKinds.farewell, [])
    this.#beat(connection)
    return { frame: () => undefined, writable: () => undefined, closed: () => undefined }
  }

  #connections(): Connection[] {
    return this.#dialers.flatMap(({ connection }) => connection ?? [])
  }

  #beat(connection: Connection): void {
    // A monitor that does not read is asleep: when it wakes, it should learn that the server lives now.
    if (connection.waitingBytes === 0)
      connection.send(frameKinds.heartbeat, [encodeHeartbeat(this.#options.load())])
  }

  #repeat(): void {
    for (const connection of this.#connections()) this.#beat(connection)
    this.#cancelNext = this.#options.timing.clock.setTimer(heartbeatMs, () => this.#repeat())
  }
}
