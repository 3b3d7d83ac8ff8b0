/**
 * Byte streams in one process, for tests and the simulator.
 *
 * They are in order and reliable until they break, as TCP is; the owner of the wires decides the delays.
 * Invariant: no timers and no randomness of its own; what arrives was copied, so both ends share no bytes; what was
 * written before an orderly end arrives before it. Source: docs/spec.md PEER8, PEER15.
 */
import { TransportError } from './errors.ts'
import {
  type Address,
  type ByteStream,
  type Dial,
  formatAddress,
  type Listen,
  type StreamHandlers,
  type Trust,
} from './stream.ts'

export interface MemoryWiresOptions {
  /**
   * Carries one step from one process to another; calls `arrive` once, when the step is over, or never (the
   * network is cut and neither side notices). Steps of one stream arrive in order whatever the order of the calls.
   */
  readonly carry: (hop: { readonly from: string; readonly to: string }, arrive: () => void) => void
  /** What every process knows of every other. Default: no secret, no certificates. */
  readonly trust?: Trust
}

const noTrust: Trust = { secrets: [] }

/** All streams of one simulated cluster. A process is known by a name; a listening one by its `host:port`. */
export class MemoryWires {
  readonly #options: MemoryWiresOptions
  readonly #listeners = new Map<string, (stream: ByteStream) => void>()
  readonly #streams = new Set<MemoryStream>()
  #lastPort = 0

  constructor(options: MemoryWiresOptions) {
    this.#options = options
  }

  dial(from: string): Dial {
    return (address, done) => {
      const to = formatAddress(address)
      let wanted = true
      this.#options.carry({ from, to }, () => {
        if (!wanted) return
        const accept = this.#listeners.get(to)
        if (accept === undefined) {
          done(new TransportError('connect_failed', `nobody listens on ${to}`))
          return
        }
        const { carry, trust = noTrust } = this.#options
        const near = new MemoryStream({ name: from, remote: to, isDialled: true, trust, carry })
        const far = new MemoryStream({ name: to, remote: from, isDialled: false, trust, carry })
        near.join(far)
        far.join(near)
        for (const stream of [near, far]) {
          this.#streams.add(stream)
          stream.onGone = () => this.#streams.delete(stream)
        }
        accept(far)
        done(near)
      })
      return () => {
        wanted = false
      }
    }
  }

  get listen(): Listen {
    return async (address, accept) => {
      if (address.port === 0) this.#lastPort++
      const bound: Address = { host: address.host, port: address.port === 0 ? this.#lastPort : address.port }
      const name = formatAddress(bound)
      if (this.#listeners.has(name)) throw new TransportError('connect_failed', `${name} is taken`)
      this.#listeners.set(name, accept)
      return {
        address: bound,
        close: async () => {
          this.#listeners.delete(name)
        },
      }
    }
  }

  /** Breaks every stream of a process at once, as its death does, and stops its listening. */
  kill(name: string): void {
    this.#listeners.delete(name)
    for (const stream of [...this.#streams]) {
      if (stream.name === name) stream.destroy()
    }
  }

  /** Breaks the streams that have these ends, as a reset in the network does: bytes in flight are lost. */
  reset(isMeant: (name: string, remote: string) => boolean): void {
    for (const stream of [...this.#streams]) {
      const { name, remote } = stream
      if (isMeant(name, remote)) this.#options.carry({ from: remote, to: name }, () => stream.reset())
    }
  }
}

type Step = { readonly bytes: Uint8Array } | 'end' | 'break'

interface MemoryStreamOptions {
  readonly name: string
  readonly remote: string
  readonly isDialled: boolean
  readonly trust: Trust
  readonly carry: MemoryWiresOptions['carry']
}

class MemoryStream implements ByteStream {
  readonly name: string
  readonly remote: string
  readonly isDialled: boolean
  readonly trust: Trust
  readonly #carry: MemoryWiresOptions['carry']
  onGone: () => void = () => undefined
  #other: MemoryStream | undefined
  #handlers: StreamHandlers | undefined
  /** In flight to the other side. */
  readonly #steps: Step[] = []
  /** Arrived here and not handed out. */
  readonly #arrived: Step[] = []
  #pendingBytes = 0
  #paused = false
  #over = false

  constructor({ name, remote, isDialled, trust, carry }: MemoryStreamOptions) {
    this.name = name
    this.remote = remote
    this.isDialled = isDialled
    this.trust = trust
    this.#carry = carry
  }

  join(other: MemoryStream): void {
    this.#other = other
  }

  get pendingBytes(): number {
    return this.#pendingBytes
  }

  open(handlers: StreamHandlers): void {
    this.#handlers = handlers
    this.#handOut()
  }

  write(parts: readonly Uint8Array[]): void {
    if (this.#over) return
    const bytes = Buffer.concat(parts)
    this.#pendingBytes += bytes.length
    this.#send({ bytes })
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#handOut()
  }

  end(): void {
    if (this.#over) return
    this.#send('end')
    this.#finish(undefined)
  }

  destroy(): void {
    if (this.#over) return
    this.#send('break')
    this.#finish(undefined)
  }

  /** Nothing more comes or goes. */
  reset(): void {
    if (!this.#over) this.#finish(new TransportError('closed', `the connection to ${this.remote} was reset`))
  }

  #send(step: Step): void {
    this.#steps.push(step)
    this.#carry({ from: this.name, to: this.remote }, () => {
      const next = this.#steps.shift()
      if (next !== undefined) this.#other?.arrive(next)
    })
  }

  arrive(step: Step): void {
    this.#arrived.push(step)
    this.#handOut()
  }

  #handOut(): void {
    while (this.#handlers !== undefined && !this.#paused && !this.#over) {
      const step = this.#arrived.shift()
      if (step === undefined) return
      if (typeof step === 'string') {
        this.#finish(step === 'break' ? new TransportError('closed', `${this.remote} broke off`) : undefined)
      } else {
        this.#other?.tookOver(step.bytes.length)
        this.#handlers.data(step.bytes)
      }
    }
  }

  tookOver(bytes: number): void {
    this.#pendingBytes -= bytes
    if (this.#pendingBytes === 0 && !this.#over) this.#handlers?.drained()
  }

  #finish(fault: Error | undefined): void {
    this.#over = true
    this.onGone()
    this.#handlers?.closed(fault)
  }
}
