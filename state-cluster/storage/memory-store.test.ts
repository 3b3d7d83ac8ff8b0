import { describe, expect, it } from 'vitest'
import { MemoryDisk } from './memory-store.ts'
import { storeContract } from './store-contract.ts'

storeContract('memory', async () => {
  const disk = new MemoryDisk()
  let store = disk.open()
  return {
    store,
    async reopen() {
      await store.close()
      store = disk.open()
      return store
    },
    release: () => store.close(),
  }
})

const key = (n: number): Uint8Array => Uint8Array.of(n)
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A disk whose syncs end when the test says so. */
function heldDisk() {
  const disk = new MemoryDisk()
  const syncs: (() => void)[] = []
  return { disk, syncs, open: () => disk.open((_byteCount, done) => syncs.push(done)) }
}

describe('memory disk', () => {
  it('STORE1: a crash loses what was not synced, and its commits never settle', async () => {
    const { disk, syncs, open } = heldDisk()
    const store = open()
    let settled = 0
    const count = (): void => {
      settled += 1
    }
    void store.commit([{ key: key(1), value: key(1) }]).then(count, count)
    await turn()
    syncs.shift()?.()
    await turn()
    expect(settled).toBe(1)
    void store.commit([{ key: key(2), value: key(2) }]).then(count, count)
    await turn()
    void store.commit([{ key: key(3), value: key(3) }]).then(count, count)
    disk.crash(false)
    syncs.shift()?.()
    await turn()
    expect(settled).toBe(1)
    const again = disk.open()
    expect([...again.range({ from: key(0), to: key(9) })].map((row) => row.key[0])).toEqual([1])
  })

  it('STORE2: the transaction in flight may have reached the platter, whole', async () => {
    const { disk, syncs, open } = heldDisk()
    const store = open()
    void store.commit([
      { key: key(1), value: key(1) },
      { key: key(2), value: key(2) },
    ])
    await turn()
    void store.commit([{ key: key(3), value: key(3) }])
    expect(syncs.length).toBe(1)
    disk.crash(true)
    const again = disk.open()
    expect([...again.range({ from: key(0), to: key(9) })].map((row) => row.key[0])).toEqual([1, 2])
  })

  it('STORE4: a failed commit is the end: nothing waits on, nothing later is written', async () => {
    const disk = new MemoryDisk()
    const store = disk.open()
    await store.commit([{ key: key(1), value: key(1) }])
    disk.failWith('disk_full')
    const first = store.commit([{ key: key(2), value: key(2) }])
    const second = store.commit([{ key: key(3), value: key(3) }])
    await expect(first).rejects.toMatchObject({ code: 'disk_full', retryable: false })
    await expect(second).rejects.toMatchObject({ code: 'disk_full' })
    disk.failWith(undefined)
    await expect(store.commit([])).rejects.toMatchObject({ code: 'disk_full' })
    await store.close()
    const again = disk.open()
    expect([...again.range({ from: key(0), to: key(9) })].map((row) => row.key[0])).toEqual([1])
  })

  it('STORE4: what a failed sync was to write may be there at the next start', async () => {
    const disk = new MemoryDisk()
    const store = disk.open()
    disk.failWith('disk_failed', true)
    await expect(store.commit([{ key: key(1), value: key(1) }])).rejects.toMatchObject({
      code: 'disk_failed',
    })
    disk.failWith(undefined)
    await expect(store.commit([])).rejects.toMatchObject({ code: 'disk_failed' })
    await store.close()
    expect(disk.open().get(key(1))).toEqual(key(1))
  })

  it('flips a bit of a value', async () => {
    const disk = new MemoryDisk()
    const store = disk.open()
    await store.commit([{ key: key(1), value: Uint8Array.of(0, 0) }])
    expect(disk.flipBit(key(1), 9)).toBe(true)
    expect(disk.flipBit(key(2), 9)).toBe(false)
    expect([...(store.get(key(1)) ?? [])]).toEqual([0, 2])
  })
})
