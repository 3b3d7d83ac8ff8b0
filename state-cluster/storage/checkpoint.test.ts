import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { GroupId } from '../../protocol/ids.ts'
import { newConfState } from '../raft/index.ts'
import {
  Checkpointer,
  type CheckpointPosition,
  type EventsWrite,
  loadRows,
  writesOfFirstCheckpoint,
} from './checkpoint.ts'
import { checkpointKey, eventBlockKey, rowKey, rowName, stagedKey, stagedRange } from './layout.ts'
import { MemoryDisk } from './memory-store.ts'
import { type Store, type StoreReader, withCommit } from './store.ts'

const groupId = 1 as GroupId
const at = (index: number): CheckpointPosition => ({
  index,
  term: 2,
  confState: { ...newConfState([1, 2, 3], [4]), autoLeave: true },
  stateHash: `hash ${index}`,
})

const none = { count: 0, writes: [] }

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const name = (text: string): Uint8Array => rowName(5, text)

function gather(checkpointer: Checkpointer, model: ReadonlyMap<string, string | undefined>): void {
  for (const [key, value] of model) {
    checkpointer.gather(1, key, [name(key), value === undefined ? undefined : bytes(value)])
  }
}

function read(reader: StoreReader): Record<string, string> {
  const rows = [...loadRows(reader, groupId)].map(([key, value]) => [
    String.fromCharCode(...key.subarray(1)),
    new TextDecoder().decode(value),
  ])
  expect(rows.map(([key]) => key)).toEqual(rows.map(([key]) => key).sort())
  return Object.fromEntries(rows) as Record<string, string>
}

async function makeStore(): Promise<{ disk: MemoryDisk; store: Store }> {
  const disk = new MemoryDisk()
  const store = disk.open()
  await store.commit(writesOfFirstCheckpoint(groupId, at(1)))
  return { disk, store }
}

/** Rows enough to need pieces, with long values so that there are several of them. */
const manyRows = (version: string, count = 1_500): Map<string, string> =>
  new Map(Array.from({ length: count }, (_, i) => [`row ${i}`, `${version} ${i} ${'.'.repeat(200)}`]))

describe('checkpoint', () => {
  it('STORE7: a small one is one commit, a large one many, and both give rows and position back', async () => {
    const { store } = await makeStore()
    const checkpointer = new Checkpointer(store, groupId)
    const before = store.stats().commits
    gather(
      checkpointer,
      new Map([
        ['a', '1'],
        ['b', '2'],
      ]),
    )
    let held = 0
    await checkpointer.run(at(5), none, () => {
      held += 1
    })
    expect(held).toBe(1)
    expect(store.stats().commits - before).toBe(1)
    expect(read(store)).toEqual({ a: '1', b: '2' })
    const rows = manyRows('x')
    gather(checkpointer, rows)
    gather(
      checkpointer,
      new Map([
        ['a', undefined],
        ['c', '3'],
      ]),
    )
    await checkpointer.run(at(9), none, () => {
      held += 1
    })
    expect(held).toBe(2)
    expect(read(store)).toEqual({ ...Object.fromEntries(rows), b: '2', c: '3' })
    expect(new Checkpointer(store, groupId).position).toMatchObject(at(9))
    expect([...store.range(stagedRange(groupId, 0))]).toEqual([])
  })

  it('STORE8: no single commit of a checkpoint is large', async () => {
    const { store } = await makeStore()
    const sizes: { count: number; byteCount: number }[] = []
    const watching = withCommit(store, (writes, commit) => {
      const byteCount = writes.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0)
      sizes.push({ count: writes.length, byteCount })
      return commit(writes)
    })
    const checkpointer = new Checkpointer(watching, groupId)
    gather(checkpointer, manyRows('x', 5_000))
    const events = Array.from({ length: 1_000 }, (_, i): EventsWrite => {
      const key = eventBlockKey(groupId, 'a', i)
      return { key, value: bytes('an event'), eventCount: 1 }
    })
    await checkpointer.run(at(2), { count: events.length, writes: events }, () => undefined)
    expect(sizes.length).toBeGreaterThan(40)
    for (const { count, byteCount } of sizes) {
      expect(count).toBeLessThanOrEqual(128)
      expect(byteCount).toBeLessThanOrEqual(132 * 1024)
    }
    expect(
      [...store.range({ from: eventBlockKey(groupId, 'a', 0), to: eventBlockKey(groupId, 'a', 1e6) })].length,
    ).toBe(1_000)
  })

  it('STORE8: its commits grow with it, so that their number is bounded', async () => {
    const { store } = await makeStore()
    const commitsOf = async (count: number): Promise<number> => {
      const before = store.stats().commits
      const checkpointer = new Checkpointer(store, groupId)
      for (let i = 0; i < count; i++) checkpointer.gather(1, `${i}`, [name(`${i}`), bytes('row')])
      const writes = Array.from({ length: count }, (_, i): EventsWrite => {
        return { key: eventBlockKey(groupId, 'a', i), value: bytes('an event'), eventCount: 1 }
      })
      await checkpointer.run(at(2), { count, writes }, () => undefined)
      return store.stats().commits - before
    }
    expect(await commitsOf(15_000)).toBeLessThan(2 * 130)
    const commits = await commitsOf(120_000)
    expect(commits).toBeGreaterThan(100)
    expect(commits).toBeLessThan(2 * 130)
  })

  it('STORE7: a crash between any two commits leaves position and rows of one moment', async () => {
    // How many commits a large checkpoint takes, so that every place for a crash is tried.
    for (let crashAfter = 0; ; crashAfter++) {
      const disk = new MemoryDisk()
      const first = disk.open()
      await first.commit(writesOfFirstCheckpoint(groupId, at(1)))
      const old = new Checkpointer(first, groupId)
      const model = new Map(manyRows('old', 300))
      gather(old, model)
      await old.run(at(5), none, () => undefined)
      await first.close()

      let syncs = 0
      const store = disk.open((_byteCount, done) => {
        syncs += 1
        if (syncs <= crashAfter) queueMicrotask(done)
      })
      const checkpointer = new Checkpointer(store, groupId)
      const changes = new Map<string, string | undefined>(manyRows('new', 400))
      for (let i = 0; i < 50; i++) changes.set(`row ${i * 3}`, undefined)
      gather(checkpointer, changes)
      let isHeld = false
      let isDone = false
      void checkpointer
        .run(at(9), none, () => {
          isHeld = true
        })
        .then(() => {
          isDone = true
        })
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
      disk.crash(crashAfter % 2 === 1)

      let again = disk.open()
      const merged: Record<string, string> = { ...Object.fromEntries(model) }
      for (const [key, value] of changes) {
        if (value === undefined) delete merged[key]
        else merged[key] = value
      }
      const recovered = new Checkpointer(again, groupId)
      const { index } = recovered.position
      if (isHeld) expect(index).toBe(9)
      expect(read(again)).toEqual(index === 9 ? merged : Object.fromEntries(model))
      await recovered.resume()
      expect(read(again)).toEqual(index === 9 ? merged : Object.fromEntries(model))
      expect([...again.range(stagedRange(groupId, 0))]).toEqual([])
      gather(recovered, new Map([['last', 'one']]))
      await recovered.run(at(20), none, () => undefined)
      await again.close()
      again = disk.open()
      expect(read(again)['last']).toBe('one')
      if (isDone) {
        expect(crashAfter).toBeGreaterThan(4)
        return
      }
    }
  })

  it('STORE7: in a hurry it ends when it holds; the next start moves the rows', async () => {
    const { store } = await makeStore()
    const checkpointer = new Checkpointer(store, groupId)
    const rows = manyRows('x')
    gather(checkpointer, rows)
    checkpointer.hurry()
    await checkpointer.run(at(2), none, () => undefined)
    expect([...store.range(stagedRange(groupId, 0))].length).toBeGreaterThan(1)
    expect(read(store)).toEqual(Object.fromEntries(rows))
    await new Checkpointer(store, groupId).resume()
    expect([...store.range(stagedRange(groupId, 0))]).toEqual([])
    expect(read(store)).toEqual(Object.fromEntries(rows))
  })

  it('STORE7: many checkpoints with crashes give the rows of the last that held', async () => {
    const change = fc.tuple(fc.nat(400), fc.option(fc.nat(1_000), { nil: undefined }))
    const round = fc.record({
      changes: fc.array(change, { maxLength: 300 }),
      crashAfter: fc.option(fc.nat(8), { nil: undefined }),
      inFlightSurvives: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(round, { maxLength: 8 }), async (rounds) => {
        const disk = new MemoryDisk()
        const setup = disk.open()
        await setup.commit(writesOfFirstCheckpoint(groupId, at(1)))
        await setup.close()
        const models = new Map<number, Map<string, string>>([[1, new Map()]])
        let held = 1
        for (const [number, { changes, crashAfter, inFlightSurvives }] of rounds.entries()) {
          const index = number + 2
          let syncs = 0
          const store = disk.open((_byteCount, done) => {
            syncs += 1
            if (crashAfter === undefined || syncs <= crashAfter) queueMicrotask(done)
          })
          const checkpointer = new Checkpointer(store, groupId)
          const changed = new Map(
            changes.map(([row, value]) => [`r${row}`, value === undefined ? undefined : `${index} ${value}`]),
          )
          const model = new Map(models.get(held))
          for (const [key, value] of changed) {
            if (value === undefined) model.delete(key)
            else model.set(key, value)
          }
          models.set(index, model)
          const work = async (): Promise<void> => {
            await checkpointer.resume()
            gather(checkpointer, changed)
            await checkpointer.run(at(index), none, () => undefined)
          }
          void work()
          for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve))
          disk.crash(inFlightSurvives)
          const again = disk.open()
          held = new Checkpointer(again, groupId).position.index
          expect([...models.keys()]).toContain(held)
          expect(read(again)).toEqual(Object.fromEntries(models.get(held) ?? []))
          await again.close()
        }
      }),
      { numRuns: 60 },
    )
  })

  it('STORE6: damaged rows, pieces and records are found', async () => {
    const { disk, store } = await makeStore()
    const checkpointer = new Checkpointer(store, groupId)
    gather(checkpointer, new Map([['a', '1']]))
    await checkpointer.run(at(2), none, () => undefined)
    disk.flipBit(rowKey(groupId, name('a')), 33)
    expect(() => read(store)).toThrow(expect.objectContaining({ code: 'corrupt' }))
    disk.flipBit(checkpointKey(groupId), 33)
    expect(() => new Checkpointer(store, groupId)).toThrow(expect.objectContaining({ code: 'corrupt' }))
    await store.commit([{ key: checkpointKey(groupId), value: undefined }])
    expect(() => new Checkpointer(store, groupId)).toThrow(expect.objectContaining({ code: 'corrupt' }))
  })

  it('STORE6: a damaged or missing piece is found', async () => {
    for (const isMissing of [false, true]) {
      const disk = new MemoryDisk()
      const setup = disk.open()
      await setup.commit(writesOfFirstCheckpoint(groupId, at(1)))
      await setup.close()
      let isHeld = false
      const store = disk.open((_byteCount, done) => {
        if (!isHeld) queueMicrotask(done)
      })
      const checkpointer = new Checkpointer(store, groupId)
      gather(checkpointer, manyRows('x'))
      void checkpointer.run(at(2), none, () => {
        isHeld = true
      })
      while (!isHeld) await new Promise((resolve) => setImmediate(resolve))
      disk.crash(false)
      const again = disk.open()
      expect(Object.keys(read(again)).length).toBe(1_500)
      if (isMissing) await again.commit([{ key: stagedKey(groupId, 1), value: undefined }])
      else disk.flipBit(stagedKey(groupId, 1), 999)
      expect(() => read(again)).toThrow(expect.objectContaining({ code: 'corrupt' }))
      expect(() => new Checkpointer(again, groupId).resume()).toThrow(
        expect.objectContaining({ code: 'corrupt' }),
      )
    }
  })
})
