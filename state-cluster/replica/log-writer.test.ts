/** The log writer against a disk whose syncs the test ends one by one. */
import { describe, expect, it } from 'vitest'
import type { GroupId } from '../../protocol/ids.ts'
import {
  EMPTY_BYTES,
  type Entry,
  type HardState,
  type Message,
  newConfState,
  newMessage,
} from '../raft/index.ts'
import { DiskLog, type LogPosition, writesOfNewLog } from '../storage/disk-log.ts'
import { hardStateKey } from '../storage/layout.ts'
import { MemoryDisk } from '../storage/memory-store.ts'
import { LogWriter, rowLagMax } from './log-writer.ts'

const groupId = 5 as GroupId
const start: LogPosition = { index: 0, term: 0, confState: newConfState([1, 2, 3]) }

/** What `append` is called with; absent fields are as Raft leaves them when nothing has changed. */
type Given = Partial<Pick<Message, 'entries' | 'term' | 'vote' | 'commit' | 'snapshot' | 'responses'>>

const appendOf = (given: Given): Message => ({ ...newMessage('MsgStorageAppend', -1), ...given })
const response = (index: number): Message => ({ ...newMessage('MsgAppResp', 2), index })
const entriesOf = (term: number, ...indexes: readonly number[]): Entry[] =>
  indexes.map((index) => ({ type: 'EntryNormal', term, index, data: EMPTY_BYTES }))
const snapshotAt = (index: number, term: number) => ({
  data: EMPTY_BYTES,
  metadata: { index, term, confState: start.confState },
})

/** A writer, its disk, and what it reported to the replica. */
class Fixture {
  readonly disk = new MemoryDisk()
  readonly answered: number[] = []
  readonly installed: string[] = []
  readonly failures: unknown[] = []
  writer!: LogWriter<string>
  log!: DiskLog
  /** Throws where a snapshot's rows are not here, as an installer does. */
  begins = true
  finish = async (): Promise<string> => 'state'
  readonly #syncs: (() => void)[] = []

  static async open(): Promise<Fixture> {
    const fixture = new Fixture()
    const store = fixture.disk.open()
    await store.commit(writesOfNewLog(groupId, start))
    await store.close()
    await fixture.start()
    return fixture
  }

  async start(checkpoint = start): Promise<void> {
    const store = this.disk.open((_byteCount, done) => this.#syncs.push(done))
    const limits = { tailBytesMax: 1_000, keptBytesMax: 1_000 }
    this.log = DiskLog.open({ reader: store, groupId, checkpoint, ...limits })
    this.writer = new LogWriter<string>({
      store,
      log: this.log,
      installer: {
        begin: ({ metadata }) => {
          if (!this.begins) throw new Error('its rows are not here')
          return { position: metadata, writes: [] }
        },
        finish: () => this.finish(),
      },
      written: (responses) => this.answered.push(...responses.map(({ index }) => index)),
      installed: (state) => this.installed.push(state),
      run: (work) => work(),
      failed: (error) => this.failures.push(error),
    })
  }

  append(given: Given): void {
    this.writer.append(appendOf(given))
  }

  /** Syncs that were asked for; one transaction is under way at a time. */
  get syncCount(): number {
    return this.#syncs.length
  }

  /** Ends every sync that is under way, and those that follow from them. */
  async settle(): Promise<void> {
    do {
      for (const done of this.#syncs.splice(0)) done()
      for (let turn = 0; turn < 8; turn++) await Promise.resolve()
    } while (this.#syncs.length > 0)
  }

  /** Cuts the power, opens the disk again, and says which hard state it holds. */
  async afterCrash(checkpoint = start): Promise<HardState> {
    this.disk.crash(false)
    this.#syncs.length = 0
    await this.start(checkpoint)
    return this.log.initialState().hardState
  }

  row(): string {
    return Buffer.from(this.disk.read(hardStateKey(groupId)) ?? EMPTY_BYTES).toString('hex')
  }
}

describe('what an append writes', () => {
  it('STORE1: its responses leave when it and all before it are durable, in their order', async () => {
    const fixture = await Fixture.open()
    fixture.append({ term: 1, vote: 1, entries: entriesOf(1, 1), responses: [response(1)] })
    fixture.append({ responses: [response(2)] })
    fixture.append({ entries: entriesOf(1, 2), responses: [response(3)] })
    await Promise.resolve()
    expect(fixture.answered).toEqual([])
    await fixture.settle()
    expect(fixture.answered).toEqual([1, 2, 3])
    expect(fixture.log.lastIndex()).toBe(2)
  })

  it('STORE5: term and vote are written with the append that brings them, with and without entries', async () => {
    const fixture = await Fixture.open()
    fixture.append({ term: 3, vote: 2 })
    await fixture.settle()
    expect(await fixture.afterCrash()).toEqual({ term: 3, vote: 2, commit: 0 })
    // A vote in a term that is on the disk already.
    fixture.append({ term: 4, vote: 0, entries: entriesOf(4, 1), responses: [response(1)] })
    await fixture.settle()
    fixture.append({ term: 4, vote: 3, responses: [response(1)] })
    await fixture.settle()
    expect(await fixture.afterCrash()).toEqual({ term: 4, vote: 3, commit: 0 })
    expect(fixture.log.lastIndex()).toBe(1)
  })

  it('STORE5: a commit index is durable with the next entries, and not worth a sync alone', async () => {
    const fixture = await Fixture.open()
    fixture.append({ term: 1, vote: 1, entries: entriesOf(1, 1, 2) })
    await fixture.settle()
    fixture.append({ term: 1, vote: 1, commit: 2 })
    expect(fixture.syncCount).toBe(0)
    expect((await fixture.afterCrash()).commit).toBe(0)
    fixture.append({ term: 1, vote: 1, commit: 2 })
    fixture.append({ entries: entriesOf(1, 3) })
    await fixture.settle()
    expect(await fixture.afterCrash()).toEqual({ term: 1, vote: 1, commit: 2 })
  })

  it('STORE5: the row of the hard state follows when it lags by its bound, not before', async () => {
    const fixture = await Fixture.open()
    const some = Array.from({ length: rowLagMax + 1 }, (_, at) => at + 1)
    fixture.append({ term: 1, vote: 1, entries: entriesOf(1, ...some) })
    await fixture.settle()
    const before = fixture.row()
    fixture.append({ term: 1, vote: 1, commit: rowLagMax - 1, entries: entriesOf(1, rowLagMax + 2) })
    await fixture.settle()
    expect(fixture.row()).toBe(before)
    fixture.append({ term: 1, vote: 1, commit: rowLagMax })
    expect(fixture.syncCount).toBe(0)
    fixture.append({ entries: entriesOf(1, rowLagMax + 3) })
    await fixture.settle()
    const after = fixture.row()
    expect(after).not.toBe(before)
    fixture.append({ term: 1, vote: 1, commit: rowLagMax + 1, entries: entriesOf(1, rowLagMax + 4) })
    await fixture.settle()
    expect(fixture.row()).toBe(after)
  })

  it('STORE5: the same hard state again is not written', async () => {
    const fixture = await Fixture.open()
    fixture.append({ term: 2, vote: 1 })
    await fixture.settle()
    fixture.append({ term: 2, vote: 1 })
    fixture.append({})
    expect(fixture.syncCount).toBe(0)
    fixture.append({ responses: [response(9)] })
    await fixture.settle()
    expect(fixture.answered).toEqual([9])
  })
})

describe('what a snapshot replaces', () => {
  it('SNAP2: it leaves the vote and the term as they were', async () => {
    const fixture = await Fixture.open()
    fixture.append({ term: 7, vote: 3 })
    await fixture.settle()
    fixture.append({ snapshot: snapshotAt(20, 6), responses: [response(20)] })
    await fixture.settle()
    expect(fixture.installed).toEqual(['state'])
    expect(fixture.answered).toEqual([20])
    expect(await fixture.afterCrash(snapshotAt(20, 6).metadata)).toEqual({ term: 7, vote: 3, commit: 20 })
  })

  it('SNAP2: what comes with it replaces term and vote in the same commit', async () => {
    const fixture = await Fixture.open()
    fixture.append({ term: 7, vote: 3 })
    await fixture.settle()
    let release = (): void => {}
    fixture.finish = () =>
      new Promise((resolve) => {
        release = () => resolve('state')
      })
    fixture.append({ term: 8, vote: 1, commit: 30, snapshot: snapshotAt(20, 8) })
    await fixture.settle()
    expect(fixture.writer.isInstalling).toBe(true)
    expect(await fixture.afterCrash(snapshotAt(20, 8).metadata).catch(String)).toMatch(/do not fit together/)
    release()
  })

  it('SNAP2: the commit index is that of the snapshot where the message names an earlier one', async () => {
    const fixture = await Fixture.open()
    fixture.append({ term: 8, vote: 1, commit: 5, snapshot: snapshotAt(20, 8) })
    await fixture.settle()
    expect(await fixture.afterCrash(snapshotAt(20, 8).metadata)).toEqual({ term: 8, vote: 1, commit: 20 })
  })

  it('SNAP2: later appends wait for it, and are written in their order', async () => {
    const fixture = await Fixture.open()
    let release = (): void => {}
    fixture.finish = () =>
      new Promise((resolve) => {
        release = () => resolve('late')
      })
    fixture.append({ term: 2, snapshot: snapshotAt(10, 2), responses: [response(10)] })
    fixture.append({ entries: entriesOf(2, 11), responses: [response(11)] })
    fixture.append({ entries: entriesOf(2, 12), responses: [response(12)] })
    await fixture.settle()
    expect([fixture.writer.isInstalling, fixture.installed, fixture.answered]).toEqual([true, [], []])
    release()
    await fixture.settle()
    expect([fixture.writer.isInstalling, fixture.installed]).toEqual([false, ['late']])
    expect(fixture.answered).toEqual([10, 11, 12])
    expect(fixture.log.lastIndex()).toBe(12)
  })

  it('SNAP2: a snapshot that cannot be installed is reported, and nothing is answered', async () => {
    const fixture = await Fixture.open()
    fixture.begins = false
    fixture.append({ term: 2, snapshot: snapshotAt(10, 2), responses: [response(10)] })
    await fixture.settle()
    expect(fixture.failures.map(String)).toEqual(['Error: its rows are not here'])
    expect([fixture.writer.isInstalling, fixture.installed, fixture.answered]).toEqual([false, [], []])
  })
})
