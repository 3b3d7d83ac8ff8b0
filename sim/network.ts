/**
 * The network between hosts: delay, loss, duplication and cuts.
 *
 * It carries two kinds of traffic: messages between state nodes (lost, doubled and reordered) and steps of byte
 * streams (in order and whole, as with TCP: what a cut holds back arrives when it heals).
 *
 * Invariant: nothing passes a cut direction, and no host is informed of the cut.
 */

import type { Random } from '../runtime/random.ts'
import type { Packet } from '../state-cluster/peers/memory-transport.ts'
import { frameKinds } from '../wire/kinds.ts'
import type { Counts } from './counts.ts'
import type { SimOptions } from './options.ts'
import type { World } from './world.ts'

/** The part of losses that a connection does not repair. */
const streamedLossPart = 0.2

/** Where something happens: a host, by name. */
export type Host = string

interface HeldStep {
  readonly from: Host
  readonly to: Host
  readonly arrive: () => void
}

export class Network {
  readonly #world: World
  readonly #options: SimOptions['network']
  readonly #random: Random
  readonly #counts: Counts
  /** `from>to`. */
  readonly #cut = new Set<string>()
  #held: HeldStep[] = []
  /** When the last message of a snapshot arrives, by sender and receiver. */
  readonly #streamedUntilMs = new Map<string, number>()
  #isCalm = false

  constructor(world: World, options: SimOptions['network'], random: Random, counts: Counts) {
    this.#world = world
    this.#options = options
    this.#random = random
    this.#counts = counts
  }

  /** A message between nodes. Those of a snapshot stay in order, as on a connection; a lost one ends it. */
  carryPeerMessage(message: Packet, arrive: () => void): void {
    const { loss, duplication, spikes, spikeMs } = this.#options
    const random = this.#random
    const direction = `${message.from}>${message.to}`
    if (this.isCut(`node-${message.from}`, `node-${message.to}`)) {
      this.#counts.add('letters.cut')
      return
    }
    const isStreamed = message.kind !== frameKinds.raft
    if (!this.#isCalm && random.chance(isStreamed ? loss * streamedLossPart : loss)) {
      this.#counts.add('fault.loss')
      return
    }
    if (isStreamed) {
      const delayMs = Math.max(
        this.delayMs(),
        (this.#streamedUntilMs.get(direction) ?? 0) - this.#world.elapsedMs,
      )
      this.#streamedUntilMs.set(direction, this.#world.elapsedMs + delayMs)
      this.#world.schedule(delayMs, arrive)
      return
    }
    const copies = !this.#isCalm && random.chance(duplication) ? 2 : 1
    if (copies === 2) this.#counts.add('fault.duplication')
    for (let copy = 0; copy < copies; copy++) {
      const isLate = !this.#isCalm && random.chance(spikes)
      if (isLate) this.#counts.add('fault.delay')
      this.#world.schedule(this.delayMs() + (isLate ? random.unit() * spikeMs : 0), arrive)
    }
  }

  /** One step of a stream. */
  carryStep({ from, to }: { readonly from: Host; readonly to: Host }, arrive: () => void): void {
    if (this.isCut(from, to)) this.#held.push({ from, to, arrive })
    else this.#world.schedule(this.delayMs(), arrive)
  }

  /** A request of a client or its answer; it may be lost. */
  carryCall(arrive: () => void): void {
    if (!this.#isCalm && this.#random.chance(this.#options.clientLoss)) this.#counts.add('fault.clientLoss')
    else this.#world.schedule(this.delayMs(), arrive)
  }

  isCut(from: Host, to: Host): boolean {
    return this.#cut.has(`${from}>${to}`)
  }

  cut(from: Host, to: Host): void {
    this.#cut.add(`${from}>${to}`)
  }

  /** Ends all cuts; what was held back is delivered. */
  heal(): void {
    this.#cut.clear()
    const held = this.#held
    this.#held = []
    for (const { arrive } of held) this.#world.schedule(this.delayMs(), arrive)
  }

  /** No more losses, copies and spikes. */
  calm(): void {
    this.#isCalm = true
    this.heal()
  }

  delayMs(): number {
    const [least, most] = this.#options.delayMs
    return least + this.#random.unit() * (most - least)
  }
}
