/**
 * Replicas of one group in virtual time, on memory disks.
 *
 * For tests: the test decides when turns run, syncs end, messages arrive and time passes.
 * Invariant: nothing happens but by `step`, `settle` and `advance`, so a test with the same seed is the same test.
 */

import type { GroupId } from '../../../protocol/ids.ts'
import { ManualClock } from '../../../runtime/clock.ts'
import { Random } from '../../../runtime/random.ts'
import { TransportError } from '../../../wire/errors.ts'
import { systemTiming } from '../../../wire/timing.ts'
import type { MachineEntry } from '../../machine/commands.ts'
import { decodeEntry as decodeMachineEntry } from '../../machine/index.ts'
import { gatherTurns } from '../../node/turns.ts'
import type { SnapshotSource } from '../../peers/peer-transport.ts'
import { type Entry, type Message, newConfState } from '../../raft/index.ts'
import { type LogPosition, writesOfNewLog } from '../../storage/disk-log.ts'
import { finishInstall } from '../../storage/incoming-snapshot.ts'
import { decodeEntry, entryRange, numberOfKey } from '../../storage/layout.ts'
import { MemoryDisk } from '../../storage/memory-store.ts'
import { unpack } from '../../storage/pack.ts'
import { type Store, withCommit } from '../../storage/store.ts'
import { type Machine, writesOfNewState } from '../applied-state.ts'
import type { RareEvent } from '../rare-events.ts'
import { Replica } from '../replica.ts'
import { defaultReplicaSettings, type ReplicaSettings } from '../settings.ts'

export const groupId = 0 as GroupId

/** Lets every promise that can settle do so. */
const microtasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export interface Node {
  readonly id: number
  readonly disk: MemoryDisk
  store: Store
  replica: Replica
  readonly turns: (() => void)[]
  readonly syncs: (() => void)[]
  fatal: Error | undefined
  /** Called when the power is cut. */
  readonly onCrash: Set<() => void>
}

export class ReplicaBench {
  readonly clock = new ManualClock()
  readonly nodes = new Map<number, Node>()
  readonly messages: Message[] = []
  /** Every entry that a replica ever gave to its disk, the latest by index. */
  readonly seen = new Map<number, Entry>()
  /** Called with the state hash that each replica reports to the others. */
  onHash: (nodeId: number, index: number, hash: string) => void = () => undefined
  /** What the replicas reported as rare. */
  readonly rare: { readonly nodeId: number; readonly event: RareEvent }[] = []
  /** The keys of all rows that snapshots have carried. */
  readonly snapshotKeys: string[] = []
  /** Asked before each page of a snapshot: whether its connection ends now. */
  breaksTransfer: () => boolean = () => false
  /** Of nodes that are opened from now on. Default: the real one. */
  machine: Machine | undefined
  readonly #settings: ReplicaSettings
  readonly #voters: readonly number[]
  readonly #random: Random

  private constructor(voters: readonly number[], settings: Partial<ReplicaSettings>, seed: number) {
    this.#voters = voters
    this.#settings = { ...defaultReplicaSettings, ...settings }
    this.#random = new Random(seed)
  }

  static async make(
    voters: readonly number[],
    settings: Partial<ReplicaSettings> = {},
    seed = 1,
  ): Promise<ReplicaBench> {
    const bench = new ReplicaBench(voters, settings, seed)
    const position: LogPosition = { index: 1, term: 1, confState: newConfState(voters) }
    for (const id of voters) {
      const disk = new MemoryDisk()
      const store = disk.open()
      await store.commit([...writesOfNewLog(groupId, position), ...writesOfNewState(groupId, position)])
      await store.close()
      await bench.open(id, disk)
    }
    return bench
  }

  get only(): Node {
    return this.nodes.get(this.#voters[0] as number) as Node
  }

  /** Starts a node on a disk. Rejects as the replica does. */
  async open(id: number, disk: MemoryDisk): Promise<Node> {
    const syncs: (() => void)[] = []
    const turns: (() => void)[] = []
    const store = this.#watched(disk.open((_byteCount, done) => syncs.push(done)))
    const timing = gatherTurns({
      ...systemTiming,
      clock: this.clock,
      afterTurn: (run) => turns.push(run),
      random: () => this.#random.unit(),
    })
    const node: Node = {
      id,
      disk,
      store,
      turns,
      syncs,
      fatal: undefined,
      onCrash: new Set(),
    } as unknown as Node
    this.nodes.set(id, node)
    const opening = Replica.open({
      groupId,
      nodeId: id,
      settings: this.#settings,
      ports: {
        store,
        timing,
        transport: {
          send: (_groupId, message) => this.messages.push(message),
          sendSnapshot: (_groupId, message, source) => this.#carry(message, source),
        },
        ...(this.machine && { machine: this.machine }),
        onHash: (index, hash) => this.onHash(id, index, hash),
        onRare: (event) => this.rare.push({ nodeId: id, event }),
        onFatal: (error) => {
          if (node.fatal !== undefined) throw new Error('onFatal was called twice')
          node.fatal = error
        },
      },
    })
    let isOver = false
    const over = (): void => {
      isOver = true
    }
    opening.then(over, over)
    for (await microtasks(); !isOver; await microtasks()) turns.shift()?.()
    node.replica = await opening
    node.replica.start()
    return node
  }

  /** Cuts a node's power: it does nothing more. */
  crash(node: Node, inFlightSurvives: boolean): void {
    node.disk.crash(inFlightSurvives)
    node.turns.length = 0
    node.syncs.length = 0
    // A dead replica still gets ticks; its turns and its disk are gone, so they have no effect.
    node.turns.push = () => 0
    this.nodes.delete(node.id)
    for (const stop of node.onCrash) stop()
  }

  /** Does one thing that waits, chosen by chance. Returns false when nothing waits. */
  async step(): Promise<boolean> {
    const choices: (() => void)[] = []
    for (const node of this.nodes.values()) {
      const { turns, syncs } = node
      if (turns.length > 0) choices.push(() => turns.shift()?.())
      if (syncs.length > 0) choices.push(() => syncs.shift()?.())
    }
    if (this.messages.length > 0) choices.push(() => this.#deliver(this.messages.shift() as Message))
    const choice = choices[this.#random.below(choices.length)]
    if (choice === undefined) return false
    choice()
    await microtasks()
    return true
  }

  /** Does all that waits, without time going by. */
  async settle(): Promise<void> {
    await microtasks()
    while (await this.step());
  }

  /** Lets time go by, in ticks, doing all that comes of each. */
  async advance(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += this.#settings.tickMs) {
      this.clock.advance(this.#settings.tickMs)
      await this.settle()
    }
  }

  /** Until the condition holds; throws when it does not within a virtual minute. */
  async until(condition: () => boolean): Promise<void> {
    for (let tick = 0; tick < 60_000 / this.#settings.tickMs; tick++) {
      if (condition()) return
      await this.advance(this.#settings.tickMs)
    }
    throw new Error('the condition did not come true within a virtual minute')
  }

  /** Entries that a replica applied, from the first one of the group, as the machine reads them. */
  entriesUpTo(index: number): MachineEntry[] {
    const entries: MachineEntry[] = []
    for (let at = 2; at <= index; at++) {
      const entry = this.seen.get(at) as Entry
      if (entry.type === 'EntryNormal' && entry.data.length > 0) {
        entries.push(decodeMachineEntry(unpack(entry.data)))
      }
    }
    return entries
  }

  /** Starts a node on a disk as a process does, whatever was interrupted on it. */
  async reopen(id: number, disk: MemoryDisk): Promise<Node> {
    const store = disk.open()
    await finishInstall(store, groupId)
    await store.close()
    return this.open(id, disk)
  }

  /** A node with an empty disk, for a group that is to take it in. */
  async newcomer(id: number): Promise<Node> {
    const disk = new MemoryDisk()
    const store = disk.open()
    const position: LogPosition = { index: 0, term: 0, confState: newConfState([]) }
    await store.commit([...writesOfNewLog(groupId, position), ...writesOfNewState(groupId, position)])
    await store.close()
    return this.open(id, disk)
  }

  get leader(): Node | undefined {
    return [...this.nodes.values()].find(({ replica }) => replica.status().ready)
  }

  /** Brings a snapshot's rows to a node, page by page, unless that dies. */
  async #carry(message: Message, source: SnapshotSource): Promise<void> {
    const target = this.nodes.get(message.to)
    const sink = target?.replica.receiveSnapshot(message)
    if (target === undefined || sink === undefined) throw new TransportError('snapshot_aborted', 'not now')
    let die = (): void => undefined
    const death = new Promise<never>((_, reject) => {
      die = () => reject(new TransportError('closed', 'it died'))
    })
    death.catch(() => undefined)
    target.onCrash.add(die)
    for await (const batch of source) {
      if (this.breaksTransfer()) {
        const cause = new TransportError('closed', 'the connection ended')
        sink.abort(cause)
        throw cause
      }
      if ('question' in batch) {
        batch.answered(await Promise.race([sink.answer(batch.question), death]))
        continue
      }
      for (const { key } of batch) this.snapshotKeys.push(Buffer.from(key).toString('latin1'))
      await Promise.race([sink.write(batch), death])
    }
    await Promise.race([sink.finish(), death])
    this.messages.push(message)
  }

  #deliver(message: Message): void {
    this.nodes.get(message.to)?.replica.step(message)
  }

  /** The store, with a note of every entry that is given to it. */
  #watched(store: Store): Store {
    const first = Buffer.from(entryRange(groupId, 0, 1).from)
    return withCommit(store, (writes) => {
      for (const { key, value } of writes) {
        const isEntry =
          key.length === first.length && Buffer.compare(key.subarray(0, 3), first.subarray(0, 3)) === 0
        if (isEntry && value !== undefined) this.seen.set(numberOfKey(key), decodeEntry(key, value.slice()))
      }
      return store.commit(writes)
    })
  }
}
