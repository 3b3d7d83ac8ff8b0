import { describe, expect, it } from 'vitest'
import type { AuctionId, GroupId } from '../../protocol/ids.ts'
import { History } from './history.ts'
import { eventKey } from './layout.ts'
import { MemoryDisk } from './memory-store.ts'
import { pack, unpack } from './pack.ts'

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
      encode: ({ seq, text }) => pack([seq, text]),
      decode(bytes, auctionId) {
        const [seq, text] = unpack(bytes) as [number, string]
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
    await store.commit([...history.freeze()])
    history.thaw()
    for (let seq = 11; seq <= 20; seq++) history.add(event(a, seq))
    const writes = [...history.freeze()]
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
    await store.commit([...history.freeze()])
    const later = open()
    for (let seq = 3; seq <= 8; seq++) later.add(event(a, seq))
    expect(seqs(later.read(a, 1, 9))).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    await store.commit([...later.freeze()])
    later.thaw()
    expect(seqs(later.read(a, 1, 9))).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  it('STORE6: a damaged or missing event is found', async () => {
    const { disk, store, history, open } = makeHistory()
    for (let seq = 1; seq <= 4; seq++) history.add(event(a, seq))
    await store.commit([...history.freeze()])
    expect(() => open().read(a, 1, 6)).toThrow(expect.objectContaining({ code: 'corrupt' }))
    disk.flipBit(eventKey(groupId, a, 2), 50)
    expect(() => open().read(a, 1, 5)).toThrow(expect.objectContaining({ code: 'corrupt' }))
    expect(seqs(open().read(a, 3, 5))).toEqual([3, 4])
    await store.commit([{ key: eventKey(groupId, a, 3), value: undefined }])
    expect(() => open().read(a, 3, 5)).toThrow(expect.objectContaining({ code: 'corrupt' }))
  })
})
