import { describe, expect, it } from 'vitest'
import { Fields, packTuple, unpackTuple } from '../../wire/tuples.ts'
import {
  changeFields,
  changeOf,
  type MemberRow,
  memberRowFields,
  memberRowsOf,
  outcomeFields,
  outcomeOf,
} from './member-wire.ts'

const travelled = (values: readonly unknown[]): Fields => new Fields(unpackTuple(packTuple(values)), 'test')

describe('members on the wire', () => {
  it('LINK2: changes, rows and outcomes come back equal', () => {
    for (const change of [
      { type: 'add', nodeId: 4, host: 'node-4.example', port: 7_400 },
      { type: 'add', nodeId: 4, host: 'node-4.example', port: 7_400, incarnation: 'folder' },
      { type: 'remove', nodeId: 2_147_483_647 },
    ] as const) {
      expect(changeOf(travelled(changeFields(change)))).toEqual(change)
    }
    const rows: MemberRow[] = [
      { nodeId: 1, role: 'voter', isActive: true, matchIndex: 99, address: { host: '::1', port: 1 } },
      { nodeId: 2, role: 'learner', isActive: false, matchIndex: 0, address: { host: '', port: 0 } },
    ]
    expect(memberRowsOf(travelled([rows.map(memberRowFields)]))).toEqual(rows)
    for (const outcome of [
      { ok: true },
      { ok: false, code: 'not_leader', reason: 'no' },
      { ok: false, code: 'not_allowed', reason: '' },
    ] as const) {
      expect(outcomeOf(travelled(outcomeFields(outcome)))).toEqual(outcome)
    }
  })

  it('LINK2: impossible values are malformed', () => {
    for (const values of [
      [3, 4],
      [1, 0, 'host', 1, ''],
      [1, 4, 'host', 0, ''],
      [1, 4, 'h'.repeat(256), 1, ''],
      [1, 4, 'host', 1, 'i'.repeat(65)],
      [1, 4, 'host', 1],
      [2],
    ]) {
      expect(() => changeOf(travelled(values))).toThrow(expect.objectContaining({ code: 'malformed' }))
    }
    expect(() => memberRowsOf(travelled([[[1, 3, true, 0, 'h', 1]]]))).toThrow()
    for (const values of [['yes', ''], [99, ''], [0, 'more'], [1]]) {
      expect(() => outcomeOf(travelled(values))).toThrow(expect.objectContaining({ code: 'malformed' }))
    }
  })
})
