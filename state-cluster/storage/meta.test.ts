import { describe, expect, it } from 'vitest'
import { encodeBytes, metaKey } from './layout.ts'
import { MemoryDisk } from './memory-store.ts'
import { readMeta, type StoreMeta, writeOfMeta } from './meta.ts'
import { pack } from './pack.ts'

const meta: StoreMeta = {
  clusterId: 'c',
  nodeId: 2,
  groupCount: 3,
  incarnation: 'folder',
  isFounding: true,
}

describe('the record of a data folder', () => {
  it('IDENT1: names cluster, node and incarnation as they were written', async () => {
    const store = new MemoryDisk().open()
    expect(readMeta(store)).toBeUndefined()
    await store.commit([writeOfMeta(meta)])
    expect(readMeta(store)).toEqual(meta)
  })

  it.each([0, 2, 'one'])(
    'STORE17: a folder of format %s is refused, and says which is read',
    async (format) => {
      const store = new MemoryDisk().open()
      const fields = [format, meta.clusterId, meta.nodeId, meta.groupCount, meta.incarnation, meta.isFounding]
      await store.commit([{ key: metaKey, value: encodeBytes(metaKey, pack(fields)) }])
      expect(() => readMeta(store)).toThrow(
        expect.objectContaining({
          code: 'foreign_data',
          message: `the data folder has format ${format}, this version reads 1: use the version that wrote it`,
        }),
      )
    },
  )
})
