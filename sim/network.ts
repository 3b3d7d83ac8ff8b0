/**
 * Every way between hosts: how long it takes, what is lost, doubled, cut. Two kinds of traffic go over it: letters
 * between state nodes (lost, doubled and out of order at will) and steps of byte streams (in order and whole, as TCP
 * has them: what a cut holds back goes on when it heals). Invariant: a way that is cut lets nothing through, and
 * nobody is told.
 */

import type { Letter } from '../state-cluster/peers/memory-transport.ts'
import type { Random } from '../state-cluster/raft/fuzz/random.ts'
import { frameKinds } from '../wire/kinds.ts'
import type { Counts } from './counts.ts'
import type { SimOptions } from './options.ts'
import type { World } from './world.ts'

/** A connection loses less than the wire below it. */
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
  /** When the last letter of a snapshot arrives, by way. */
  readonly #streamedUntilMs = new Map<string, number>()
  #isCalm = false

  constructor(world: World, options: SimOptions['network'], random: Random, counts: Counts) {
    this.#world = world
    this.#options = options
    this.#random = random
    this.#counts = counts
  }

  /** A letter between nodes. Those of a snapshot stay in order, as on a connection; one that is lost ends it. */
  carryPeerMessage(letter: Letter, arrive: () => void): void {
    const { loss, duplication, spikes, spikeMs } = this.#options
    const random = this.#random
    const way = `${letter.from}>${letter.to}`
    if (this.isCut(`node-${letter.from}`, `node-${letter.to}`)) {
      this.#counts.add('letters.cut')
      return
    }
    const isStreamed = letter.kind !== frameKinds.raft
    if (!this.#isCalm && random.chance(isStreamed ? loss * streamedLossPart : loss)) {
      this.#counts.add('fault.loss')
      return
    }
    if (isStreamed) {
      const delayMs = Math.max(this.delayMs(), (this.#streamedUntilMs.get(way) ?? 0) - this.#world.elapsedMs)
      this.#streamedUntilMs.set(way, this.#world.elapsedMs + delayMs)
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

  /** Something of a client, on its way to a server or back; it may be lost. */
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

  /** Nothing is cut any more; what was held back goes on. */
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
