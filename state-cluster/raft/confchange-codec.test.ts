import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AssertionError } from './assert.ts'
import { asV2, changesOf, decodeConfChange, encodeConfChange } from './confchange-codec.ts'
import {
  type AnyConfChange,
  type ConfChange,
  type ConfChangeSingle,
  type ConfChangeV2,
  EMPTY_BYTES,
} from './types.ts'

const type = fc.constantFrom<ConfChangeSingle['type'][]>(
  'ConfChangeAddNode',
  'ConfChangeRemoveNode',
  'ConfChangeUpdateNode',
  'ConfChangeAddLearnerNode',
)
const context = fc.uint8Array({ maxLength: 20 })
const v1 = fc.record<ConfChange>({ type, nodeId: fc.maxSafeNat(), context })
const v2 = fc.record<ConfChangeV2>({
  transition: fc.constantFrom(
    'ConfChangeTransitionAuto',
    'ConfChangeTransitionJointImplicit',
    'ConfChangeTransitionJointExplicit',
  ),
  changes: fc.array(fc.record<ConfChangeSingle>({ type, nodeId: fc.maxSafeNat() }), { maxLength: 9 }),
  context,
})
const plain = (change: AnyConfChange) => ({ ...change, context: [...change.context] })

describe('the codec of configuration changes', () => {
  it('gives back what it was given, and says which form it was', () => {
    fc.assert(
      fc.property(fc.oneof(v1, v2), (change) => {
        const entry = encodeConfChange(change)
        expect(entry.type).toBe('changes' in change ? 'EntryConfChangeV2' : 'EntryConfChange')
        expect(plain(decodeConfChange(entry))).toEqual(plain(change))
      }),
    )
  })

  it('has bytes that never change', () => {
    const bytes = (change: AnyConfChange): number[] => [...encodeConfChange(change).data]
    expect(bytes({ type: 'ConfChangeAddLearnerNode', nodeId: 300, context: Uint8Array.of(9) })).toEqual([
      1, 3, 172, 2, 9,
    ])
    expect(
      bytes({
        transition: 'ConfChangeTransitionJointExplicit',
        changes: [
          { type: 'ConfChangeRemoveNode', nodeId: 1 },
          { type: 'ConfChangeAddNode', nodeId: 4 },
        ],
        context: EMPTY_BYTES,
      }),
    ).toEqual([1, 2, 2, 1, 1, 0, 4])
  })

  it('makes the change that leaves a joint configuration free of bytes', () => {
    const empty: ConfChangeV2 = { transition: 'ConfChangeTransitionAuto', changes: [], context: EMPTY_BYTES }
    expect(encodeConfChange(empty).data.length).toBe(0)
    expect(decodeConfChange(encodeConfChange(empty))).toEqual(empty)
  })

  it('asserts that what it reads is whole and known', () => {
    const decode =
      (type: 'EntryNormal' | 'EntryConfChange' | 'EntryConfChangeV2', ...data: number[]) =>
      () =>
        decodeConfChange({ type, data: Uint8Array.from(data) })
    expect(decode('EntryNormal')).toThrow(AssertionError)
    expect(decode('EntryConfChange')).toThrow('whole')
    expect(decode('EntryConfChange', 2, 0, 1)).toThrow('known version')
    expect(decode('EntryConfChange', 1, 4, 1)).toThrow('known codes')
    expect(decode('EntryConfChange', 1, 0, 0x80)).toThrow('whole')
    expect(decode('EntryConfChange', 1, 0, ...Array<number>(9).fill(0xff), 1)).toThrow('safe integers')
    expect(decode('EntryConfChangeV2', 1, 3, 0)).toThrow('known codes')
    expect(decode('EntryConfChangeV2', 1, 0, 2, 0, 1)).toThrow('whole')
  })

  it('asserts that what it writes can be read', () => {
    expect(() => encodeConfChange({ type: 'ConfChangeAddNode', nodeId: -1, context: EMPTY_BYTES })).toThrow(
      AssertionError,
    )
  })
})

describe('asV2', () => {
  it('makes a single change of the first form', () => {
    const change: ConfChange = { type: 'ConfChangeRemoveNode', nodeId: 3, context: Uint8Array.of(1) }
    expect(asV2(change)).toEqual({
      transition: 'ConfChangeTransitionAuto',
      changes: [{ type: 'ConfChangeRemoveNode', nodeId: 3 }],
      context: Uint8Array.of(1),
    })
    expect(changesOf(change)).toEqual([{ type: 'ConfChangeRemoveNode', nodeId: 3 }])
    const second = asV2(change)
    expect(asV2(second)).toBe(second)
  })
})
