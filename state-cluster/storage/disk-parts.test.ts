import { describe, expect, it } from 'vitest'
import type { GroupId } from '../../protocol/ids.ts'
import { partsOf } from './disk-parts.ts'
import { entryKey, eventBlockKey, hardStateKey, rowKey, rowName, stagedKey } from './layout.ts'
import { MemoryDisk } from './memory-store.ts'

describe('parts of a disk', () => {
  it('STORE16: log, state and history are counted apart, for the groups in the request', async () => {
    const store = new MemoryDisk().open()
    const [first, second, third] = [0, 1, 2] as GroupId[] as [GroupId, GroupId, GroupId]
    const put = (key: Uint8Array, length: number) => ({ key, value: new Uint8Array(length) })
    const sizeOf = ({ key, value }: { key: Uint8Array; value: Uint8Array }): number =>
      key.length + value.length
    const log = Array.from({ length: 1_200 }, (_, i) =>
      put(entryKey(i % 2 === 0 ? first : second, i + 1), 30),
    )
    const state = [
      ...Array.from({ length: 700 }, (_, i) => put(rowKey(first, rowName(5, `row ${i}`)), 20)),
      put(stagedKey(second, 0), 4_000),
    ]
    const history = [put(eventBlockKey(first, 'a', 0), 800), put(eventBlockKey(second, 'b', 7), 900)]
    const others = [put(hardStateKey(first), 22), put(entryKey(third, 1), 5_000)]
    await store.commit([...log, ...state, ...history, ...others])
    const sum = (rows: typeof log): number => rows.reduce((all, row) => all + sizeOf(row), 0)
    expect(await partsOf(store, [first, second])).toEqual({
      logBytes: sum(log),
      stateBytes: sum(state),
      historyBytes: sum(history),
    })
  })
})
