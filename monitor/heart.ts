/**
 * The server's side of its monitors: a socket to each, over which it says that it lives and what it has to do.
 * Invariant: it works without any of them; that a monitor is not there is no fault and stops nothing.
 * Rules WATCH1, WATCH5.
 */
import type { GroupId, ServerId } from '../protocol/ids.ts'
import type { CancelTimer, Clock } from '../runtime/clock.ts'
import type { Address, ByteStream, Dial } from '../state-cluster/index.ts'
import { beatMs, encodeMessage, type HeartMessage, heartVersion } from './wire.ts'

export interface HeartOptions {
  readonly monitors: readonly Address[]
  readonly serverId: ServerId
  /** Names this start of the process. */
  readonly instance: string
  readonly dial: Dial
  readonly clock: Clock
  readonly random: () => number
  readonly load: () => {
    readonly sockets: number
    readonly epochs: readonly { readonly groupId: GroupId; readonly epoch: number }[]
  }
}

export interface Heart {
  /** How many monitors are connected. */
  readonly connected: number
  /** The server stops by plan: that its sockets end is no death. */
  leave(): void
  close(): void
}

const retryMsMin = 50
const retryMsMax = 1_000
const connectMs = 1_000

export function startHeart(options: HeartOptions): Heart {
  const ways = options.monitors.map((address) => new Way(address, options))
  return {
    get connected() {
      return ways.filter((way) => way.isOpen).length
    },
    leave() {
      for (const way of ways) way.leave()
    },
    close() {
      for (const way of ways) way.close()
    },
  }
}

/** To one monitor. */
class Way {
  readonly #address: Address
  readonly #options: HeartOptions
  #stream: ByteStream | undefined
  #giveUp: (() => void) | undefined
  #cancel: CancelTimer = () => undefined
  #failures = 0
  #isLeaving = false
  #isClosed = false

  constructor(address: Address, options: HeartOptions) {
    this.#address = address
    this.#options = options
    this.#dial()
  }

  get isOpen(): boolean {
    return this.#stream !== undefined
  }

  leave(): void {
    this.#isLeaving = true
    this.#say({ type: 'leaving' })
  }

  close(): void {
    this.#isClosed = true
    this.#cancel()
    this.#giveUp?.()
    this.#stream?.end()
    this.#stream = undefined
  }

  #dial(): void {
    const { dial, clock } = this.#options
    this.#cancel = clock.setTimer(connectMs, () => {
      this.#giveUp?.()
      this.#retry()
    })
    this.#giveUp = dial(this.#address, (outcome) => {
      this.#cancel()
      this.#giveUp = undefined
      if (this.#isClosed) {
        if (!(outcome instanceof Error)) outcome.destroy()
      } else if (outcome instanceof Error) this.#retry()
      else this.#opened(outcome)
    })
  }

  #opened(stream: ByteStream): void {
    const { serverId, instance } = this.#options
    this.#stream = stream
    this.#failures = 0
    stream.open({
      data: () => undefined,
      drained: () => undefined,
      closed: () => {
        if (this.#stream === stream) this.#stream = undefined
        this.#cancel()
        this.#retry()
      },
    })
    this.#say({ type: 'hello', version: heartVersion, serverId, instance })
    if (this.#isLeaving) this.#say({ type: 'leaving' })
    this.#beat()
  }

  #beat(): void {
    // A monitor that does not read is asleep: what it should hear when it wakes is that the server lives now.
    if (this.#stream?.pendingBytes === 0) this.#say({ type: 'beat', ...this.#options.load() })
    this.#cancel = this.#options.clock.setTimer(beatMs, () => this.#beat())
  }

  #say(message: HeartMessage): void {
    this.#stream?.write(encodeMessage(message))
  }

  #retry(): void {
    if (this.#isClosed) return
    const pauseMs = Math.min(retryMsMax, retryMsMin * 2 ** this.#failures)
    this.#failures = Math.min(this.#failures + 1, 10)
    const { clock, random } = this.#options
    this.#cancel = clock.setTimer(pauseMs * (0.5 + random() / 2), () => this.#dial())
  }
}
