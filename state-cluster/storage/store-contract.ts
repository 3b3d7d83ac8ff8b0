/**
 * The contract suite of `Store`; the test of each implementation runs it.
 *
 * Invariant: a case uses the port alone, so that it holds for every implementation. Faults and crashes are the
 * implementations' own tests.
 */
import { describe, expect, it } from 'vitest'
import { type Store, StoreError, type StoreRow } from './store.ts'

export interface StoreUnderTest {
  readonly store: Store
  /** Closes the store and opens the same data again. */
  reopen(): Promise<Store>
  release(): Promise<void>
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)
const list = (rows: Iterable<StoreRow>): number[][] =>
  [...rows].map(({ key, value }) => [...key, -1, ...value])

export function storeContract(name: string, make: () => Promise<StoreUnderTest>): void {
  const withStore = async (work: (store: Store, under: StoreUnderTest) => Promise<void>): Promise<void> => {
    const under = await make()
    try {
      await work(under.store, under)
    } finally {
      await under.release()
    }
  }

  describe(`${name} as a store`, () => {
    it('STORE1: a commit is there when it resolves, and after the store is opened again', () =>
      withStore(async (store, under) => {
        expect(store.get(bytes(1))).toBeUndefined()
        await store.commit([
          { key: bytes(1), value: bytes(10) },
          { key: bytes(2), value: bytes() },
        ])
        expect([...(store.get(bytes(1)) ?? [])]).toEqual([10])
        expect(store.get(bytes(2))?.length).toBe(0)
        const again = await under.reopen()
        expect([...(again.get(bytes(1)) ?? [])]).toEqual([10])
        expect(again.get(bytes(2))?.length).toBe(0)
      }))

    it('STORE1: commits become durable in the order of the calls, an empty one after all before it', () =>
      withStore(async (store) => {
        const order: number[] = []
        const commits = Array.from({ length: 50 }, (_, i) =>
          store.commit(i % 5 === 4 ? [] : [{ key: bytes(7), value: bytes(i) }]).then(() => order.push(i)),
        )
        await Promise.all(commits)
        expect(order).toEqual(Array.from({ length: 50 }, (_, i) => i))
        expect([...(store.get(bytes(7)) ?? [])]).toEqual([48])
      }))

    it('STORE1: promises resolve in the order of the commits, whatever is in flight when they are made', () =>
      withStore(async (store) => {
        const order: string[] = []
        const commit = (name: string, values: readonly number[]): Promise<unknown> =>
          store
            .commit(values.map((value) => ({ key: bytes(8), value: bytes(value) })))
            .then(() => order.push(name))
        for (let round = 0; round < 20; round++) {
          const first = commit(`${round} a`, [1])
          // The first is in flight, or on its way there, after a few microtasks.
          for (let turns = 0; turns < round % 5; turns++) await Promise.resolve()
          const rest = [
            commit(`${round} b, empty`, []),
            commit(`${round} c, empty`, []),
            commit(`${round} d`, [2]),
          ]
          await first
          rest.push(commit(`${round} e, empty`, []))
          await Promise.all(rest)
        }
        const names = ['a', 'b, empty', 'c, empty', 'd', 'e, empty']
        const expected = Array.from({ length: 20 }, (_, round) => names.map((name) => `${round} ${name}`))
        expect(order).toEqual(expected.flat())
      }))

    it('STORE2: writes of one commit apply in order and together', () =>
      withStore(async (store) => {
        await store.commit([{ key: bytes(3), value: bytes(1) }])
        const seen = new Set<string>()
        const commit = store.commit([
          { key: bytes(3), value: undefined },
          { key: bytes(4), value: bytes(1) },
          { key: bytes(4), value: bytes(2) },
          { key: bytes(99), value: undefined },
        ])
        let done = false
        const finished = commit.then(() => {
          done = true
        })
        while (!done) {
          seen.add(JSON.stringify(list(store.range({ from: bytes(0), to: bytes(255) }))))
          await new Promise((resolve) => setImmediate(resolve))
        }
        await finished
        seen.add(JSON.stringify(list(store.range({ from: bytes(0), to: bytes(255) }))))
        for (const state of seen) expect(['[[3,-1,1]]', '[[4,-1,2]]']).toContain(state)
        expect(list(store.range({ from: bytes(0), to: bytes(255) }))).toEqual([[4, -1, 2]])
      }))

    it('STORE2: commits of one turn share a transaction', () =>
      withStore(async (store) => {
        const before = store.stats()
        await Promise.all(
          Array.from({ length: 20 }, (_, i) => store.commit([{ key: bytes(i + 1), value: bytes(i) }])),
        )
        const after = store.stats()
        expect(after.commits - before.commits).toBe(20)
        expect(after.transactions - before.transactions).toBe(1)
        expect(after.backlog).toBe(0)
        expect(after.entryCount).toBe(20)
      }))

    it('ranges go by bytes, without their end, both ways, with a limit', () =>
      withStore(async (store) => {
        const keys = [bytes(0, 1), bytes(1), bytes(1, 0), bytes(1, 255), bytes(2), bytes(128), bytes(255, 1)]
        await store.commit(keys.map((key, i) => ({ key, value: bytes(i) })).reverse())
        const values = (from: Uint8Array, to: Uint8Array, rest: object = {}): number[] =>
          [...store.range({ from, to, ...rest })].map(({ value }) => value[0] as number)
        expect(values(bytes(0), bytes(255, 255))).toEqual([0, 1, 2, 3, 4, 5, 6])
        expect(values(bytes(1), bytes(2))).toEqual([1, 2, 3])
        expect(values(bytes(1), bytes(2), { reverse: true })).toEqual([3, 2, 1])
        expect(values(bytes(1), bytes(128), { reverse: true, limit: 2 })).toEqual([4, 3])
        expect(values(bytes(1), bytes(128), { limit: 2 })).toEqual([1, 2])
        expect(values(bytes(3), bytes(4))).toEqual([])
        expect(values(bytes(2), bytes(1))).toEqual([])
        expect(values(bytes(1, 1), bytes(1, 1))).toEqual([])
      }))

    it('keys of 511 bytes and values of many pages are kept whole', () =>
      withStore(async (store, under) => {
        const key = new Uint8Array(511).fill(9)
        const value = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 31) & 255)
        await store.commit([{ key, value }])
        const again = await under.reopen()
        expect(Buffer.compare(again.get(key) ?? bytes(), value)).toBe(0)
        const [row] = [...again.range({ from: bytes(9), to: bytes(10) })]
        expect(Buffer.compare(row?.value ?? bytes(), value)).toBe(0)
      }))

    it('STORE3: bytes are copied in and out, and are plain', () =>
      withStore(async (store) => {
        const key = bytes(5)
        const value = bytes(1, 2, 3)
        const first = store.commit([{ key, value }])
        key[0] = 6
        value[0] = 9
        await first
        expect([...(store.get(bytes(5)) ?? [])]).toEqual([1, 2, 3])
        const read = store.get(bytes(5)) ?? bytes()
        read[1] = 77
        const [row] = [...store.range({ from: bytes(5), to: bytes(6) })]
        if (row) row.value[2] = 88
        expect([...(store.get(bytes(5)) ?? [])]).toEqual([1, 2, 3])
        for (const given of [read, row?.key, row?.value]) expect(given?.constructor).toBe(Uint8Array)
        const held = store.get(bytes(5))
        await store.commit(Array.from({ length: 200 }, (_, i) => ({ key: bytes(5, i), value: bytes(i) })))
        for (let i = 0; i < 200; i++) store.get(bytes(5, i))
        expect([...(held ?? [])]).toEqual([1, 2, 3])
      }))

    it('a view stays at its moment while the store moves on', () =>
      withStore(async (store) => {
        await store.commit([{ key: bytes(1), value: bytes(1) }])
        const view = store.view()
        await store.commit([
          { key: bytes(1), value: bytes(2) },
          { key: bytes(2), value: bytes(2) },
        ])
        expect([...(view.get(bytes(1)) ?? [])]).toEqual([1])
        expect(list(view.range({ from: bytes(0), to: bytes(9) }))).toEqual([[1, -1, 1]])
        const later = store.view()
        expect([...(later.get(bytes(1)) ?? [])]).toEqual([2])
        view.close()
        view.close()
        expect(list(later.range({ from: bytes(0), to: bytes(9) }))).toEqual([
          [1, -1, 2],
          [2, -1, 2],
        ])
        later.close()
        expect([...(store.get(bytes(2)) ?? [])]).toEqual([2])
      }))

    it('close waits for what was accepted and refuses the rest', () =>
      withStore(async (store, under) => {
        const accepted = store.commit([{ key: bytes(1), value: bytes(1) }])
        const closed = store.close()
        await expect(store.commit([])).rejects.toMatchObject({ code: 'closed' })
        await accepted
        await closed
        expect(() => store.get(bytes(1))).toThrow(StoreError)
        const again = await under.reopen()
        expect([...(again.get(bytes(1)) ?? [])]).toEqual([1])
      }))
  })
}
