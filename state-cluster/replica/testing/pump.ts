/**
 * Runs a replica bench in a fixed order, with chosen faults.
 *
 * `ReplicaBench.step` draws what happens next; a replay of a known fault needs to decide it. Disks can be held, and
 * messages lost. Invariant: everything that can happen happens before `run` returns, except writes of a disk in
 * `held` and messages that `isLost` names; time passes by `tick` alone.
 */
import type { Command } from '../../machine/commands.ts'
import type { Reply } from '../../machine/events.ts'
import type { Message } from '../../raft/index.ts'
import type { Node, ReplicaBench } from './replica-bench.ts'

const tickMs = 25
/** Rounds after which a run counts as endless. */
const roundsMax = 100_000

const microtasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export class Pump {
  readonly bench: ReplicaBench
  /** Nodes whose writes do not end. */
  held = new Set<number>()
  isLost: (message: Message) => boolean = () => false
  /** Messages that were delivered, by type. */
  readonly delivered = new Map<string, number>()

  constructor(bench: ReplicaBench) {
    this.bench = bench
  }

  async run(): Promise<void> {
    for (let round = 0; round < roundsMax; round++) {
      await microtasks()
      const turns = await this.#runTurns()
      const syncs = await this.#runSyncs()
      const messages = await this.#deliver()
      if (!turns && !syncs && !messages) return
    }
    throw new Error('the replicas never come to rest')
  }

  /** Lets `count` ticks pass, running what each brings. */
  async tick(count = 1): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.bench.clock.advance(tickMs)
      await this.run()
    }
  }

  async until(condition: () => boolean, ticksMax = 2_400): Promise<void> {
    for (let i = 0; i < ticksMax; i++) {
      if (condition()) return
      await this.tick()
    }
    throw new Error('the condition did not come true within a virtual minute')
  }

  /** Ends `count` writes of a held disk, and runs what follows. */
  async release(id: number, count: number): Promise<void> {
    const node = this.node(id)
    for (let i = 0; i < count; i++) {
      node.syncs.shift()?.()
      await microtasks()
    }
    await this.run()
  }

  /** Proposes and runs. Gives the reply, the error's code, or `undefined` while neither is there. */
  async propose(node: Node, command: Command): Promise<Reply | string | undefined> {
    let outcome: Reply | string | undefined
    node.replica.propose(command).then(
      (reply) => {
        outcome = reply
      },
      (error: { code: string }) => {
        outcome = error.code
      },
    )
    await this.run()
    return outcome
  }

  node(id: number): Node {
    const node = this.bench.nodes.get(id)
    if (node === undefined) throw new Error(`node ${id} does not run`)
    return node
  }

  /** Cuts these nodes off from all others. */
  isolate(...ids: readonly number[]): void {
    this.isLost = ({ from, to }) => ids.includes(from) !== ids.includes(to)
  }

  heal(): void {
    this.isLost = () => false
  }

  async #runTurns(): Promise<boolean> {
    let did = false
    for (const { turns } of [...this.bench.nodes.values()]) {
      for (; turns.length > 0; did = true) {
        turns.shift()?.()
        await microtasks()
      }
    }
    return did
  }

  async #runSyncs(): Promise<boolean> {
    let did = false
    for (const { id, syncs } of [...this.bench.nodes.values()]) {
      for (; syncs.length > 0 && !this.held.has(id); did = true) {
        syncs.shift()?.()
        await microtasks()
      }
    }
    return did
  }

  async #deliver(): Promise<boolean> {
    const { messages, nodes } = this.bench
    let did = false
    for (; messages.length > 0; did = true) {
      const message = messages.shift() as Message
      if (this.isLost(message)) continue
      this.delivered.set(message.type, (this.delivered.get(message.type) ?? 0) + 1)
      nodes.get(message.to)?.replica.step(message)
      await microtasks()
    }
    return did
  }
}
