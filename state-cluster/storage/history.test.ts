import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AuctionId, GroupId } from '../../protocol/ids.ts'
import { History } from './history.ts'
import { decodeBytes, encodeBytes, eventBlockKey } from './layout.ts'
import { MemoryDisk } from './memory-store.ts'

interface Event {
  readonly auctionId: AuctionId
  readonly seq: number
  readonly text: string
}

const groupId = 0 as GroupId
const a = 'a' as AuctionId
const ab = 'ab' as AuctionId

function makeHistory() {
  const disk = new MemoryDisk()
  const store = disk.open()
  const open = (): History<Event> =>
    new History<Event>(store, groupId, {
      encode: ({ seq, text }) => [seq, text],
      decode(tuple, auctionId) {
        const [seq, text] = tuple as [number, string]
        return { auctionId, seq, text }
      },
    })
  return { disk, store, history: open(), open }
}

const event = (auctionId: AuctionId, seq: number): Event => ({ auctionId, seq, text: `${auctionId} ${seq}` })
const seqs = (events: readonly Event[]): number[] => events.map((one) => one.seq)

describe('history', () => {
  it('STORE9: disk, checkpoint under way and memory read as one, without gap or repeat', async () => {
    const { store, history, open } = makeHistory()
    for (let seq = 1; seq <= 10; seq++) history.add(event(a, seq))
    history.add(event(ab, 1))
    await store.commit([...history.freeze().writes])
    history.thaw()
    for (let seq = 11; seq <= 20; seq++) history.add(event(a, seq))
    const writes = [...history.freeze().writes]
    for (let seq = 21; seq <= 30; seq++) history.add(event(a, seq))
    expect(history.freshCount).toBe(10)
    for (const written of [false, true]) {
      if (written) await store.commit(writes)
      for (const [from, to] of [
        [1, 31],
        [5, 8],
        [8, 15],
        [15, 25],
        [9, 23],
        [25, 31],
        [11, 12],
        [30, 31],
        [7, 7],
      ] as const) {
        const expected = Array.from({ length: to - from }, (_, i) => from + i)
        expect(seqs(history.read(a, from, to))).toEqual(expected)
      }
    }
    history.thaw()
    expect(seqs(history.read(a, 1, 31))).toEqual(Array.from({ length: 30 }, (_, i) => i + 1))
    expect(history.read(ab, 1, 2)).toEqual([event(ab, 1)])
    expect(seqs(open().read(a, 1, 21))).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
  })

  it('STORE9: events written again, after a crash, are the same events', async () => {
    const { store, history, open } = makeHistory()
    for (let seq = 1; seq <= 6; seq++) history.add(event(a, seq))
    await store.commit([...history.freeze().writes])
    const later = open()
    for (let seq = 3; seq <= 8; seq++) later.add(event(a, seq))
    expect(seqs(later.read(a, 1, 9))).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    await store.commit([...later.freeze().writes])
    later.thaw()
    expect(seqs(later.read(a, 1, 9))).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  it('SNAP6: a block that has these events already stays as it is; with other events it is written', async () => {
    const { store, history, open } = makeHistory()
    const key = eventBlockKey(groupId, a, 0)
    const save = async (one: History<Event>): Promise<void> => {
      await store.commit([...one.freeze().writes])
      one.thaw()
    }
    for (let seq = 1; seq <= 20; seq++) history.add(event(a, seq))
    await save(history)
    const behind = open()
    for (const last of [24, 32, 40]) {
      for (let seq = 21; seq <= last; seq++) history.add(event(a, seq))
      await save(history)
      const ahead = store.get(key)
      behind.add(event(a, last === 24 ? 21 : last === 32 ? 22 : 23))
      await save(behind)
      expect(store.get(key), `${last} events are there`).toEqual(ahead)
    }
    behind.add({ auctionId: a, seq: 24, text: 'another' })
    await save(behind)
    expect(behind.read(a, 24, 25)).toEqual([{ auctionId: a, seq: 24, text: 'another' }])
    expect(() => behind.read(a, 25, 26)).toThrow(expect.objectContaining({ code: 'corrupt' }))
  })

  it('STORE9: written in pieces of any size, with crashes between, the events of each auction are there', async () => {
    const step = fc.record({ counts: fc.tuple(fc.nat(70), fc.nat(3)), isLost: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const { store, open } = makeHistory()
        let history = open()
        // What the last checkpoint that held has of each auction; a crash goes back to it, and the log gives the rest.
        const held = new Map([
          [a, 0],
          [ab, 0],
        ])
        const last = new Map(held)
        for (const { counts, isLost } of steps) {
          for (const [at, id] of [a, ab].entries()) {
            const from = last.get(id) as number
            const to = from + (counts[at] as number)
            for (let seq = from + 1; seq <= to; seq++) history.add(event(id, seq))
            last.set(id, to)
          }
          await store.commit([...history.freeze().writes])
          if (isLost) {
            history = open()
            for (const id of [a, ab]) {
              for (let seq = (held.get(id) as number) + 1; seq <= (last.get(id) as number); seq++)
                history.add(event(id, seq))
            }
          } else {
            history.thaw()
            for (const [id, seq] of last) held.set(id, seq)
          }
          for (const [id, seq] of last) {
            const all = Array.from({ length: seq }, (_, i) => event(id, i + 1))
            expect(history.read(id, 1, seq + 1)).toEqual(all)
            for (const from of [seq - 33, seq - 1, seq])
              if (from >= 1) expect(history.read(id, from, seq + 1)).toEqual(all.slice(from - 1))
          }
        }
      }),
      { numRuns: 60 },
    )
  })

  it('STORE16: a full block takes a fraction of what its events take', async () => {
    const { store, history } = makeHistory()
    for (let seq = 1; seq <= 32; seq++) history.add(event(a, seq))
    await store.commit([...history.freeze().writes])
    for (let seq = 1; seq <= 31; seq++) history.add(event(ab, seq))
    await store.commit([...history.freeze().writes])
    const lengthOf = (id: AuctionId): number => store.get(eventBlockKey(groupId, id, 0))?.length ?? 0
    expect(lengthOf(a)).toBeGreaterThan(0)
    expect(lengthOf(a) * 2).toBeLessThan(lengthOf(ab))
  })

  it('STORE6: a damaged or missing event is found', async () => {
    const { disk, store, history, open } = makeHistory()
    for (let seq = 1; seq <= 36; seq++) history.add(event(a, seq))
    await store.commit([...history.freeze().writes])
    const isCorrupt = expect.objectContaining({ code: 'corrupt' })
    expect(() => open().read(a, 1, 38)).toThrow(isCorrupt)
    disk.flipBit(eventBlockKey(groupId, a, 0), 50)
    expect(() => open().read(a, 32, 34)).toThrow(isCorrupt)
    expect(seqs(open().read(a, 33, 37))).toEqual([33, 34, 35, 36])
    const later = open()
    later.add(event(a, 38))
    expect(() => [...later.freeze().writes]).toThrow(isCorrupt)
    await store.commit([{ key: eventBlockKey(groupId, a, 1), value: undefined }])
    expect(() => open().read(a, 33, 34)).toThrow(isCorrupt)
    const last = open()
    last.add(event(a, 37))
    expect(() => [...last.freeze().writes]).toThrow(isCorrupt)
  })

  it('STORE6: events under the number of others are found', async () => {
    const { store, history, open } = makeHistory()
    for (let seq = 1; seq <= 64; seq++) history.add(event(a, seq))
    const [first] = [...history.freeze().writes]
    const key = eventBlockKey(groupId, a, 1)
    const bytes = decodeBytes(eventBlockKey(groupId, a, 0), first?.value as Uint8Array, 'block')
    await store.commit([{ key, value: encodeBytes(key, bytes) }])
    expect(() => open().read(a, 33, 35)).toThrow(expect.objectContaining({ code: 'corrupt' }))
  })
})
