/** What people type, and how it is printed. */
import { describe, expect, it } from 'vitest'
import { clip, durationText, plain, table } from './text.ts'
import { readAmount, readDuration, readIncrements, readMoment } from './values.ts'

describe('CLI12 durations and moments', () => {
  it('are read exactly', () => {
    expect(['90s', '10m', '1h30m', '7d', '500ms', '1d2h3m4s5ms'].map(readDuration)).toEqual([
      90_000, 600_000, 5_400_000, 604_800_000, 500, 93_784_005,
    ])
    for (const text of ['', '10', 'm', '1.5h', '10m!', '-1h', '0s', '99999999999999999d'])
      expect(() => readDuration(text), text).toThrow('not a duration')
    expect(readMoment('+10m', 1000)).toBe(601_000)
    expect(readMoment('2026-11-20T18:00:00Z', 0)).toBe(Date.UTC(2026, 10, 20, 18))
  })

  it('MOMENT1 moments have a zone, are in the calendar and to come', () => {
    expect(readMoment('2026-11-20T18:00:00+01:00', 0)).toBe(Date.UTC(2026, 10, 20, 17))
    for (const text of [
      'noon',
      '12',
      '2026-13-45T00:00:00Z',
      '2027-02-30T18:00:00Z',
      '2027-02-28',
      '1795000000',
      '2026-11-20T18:00:00.0005Z',
    ])
      expect(() => readMoment(text, 0), text).toThrow('not a moment: ')
    expect(() => readMoment('2026-11-20T18:00', 0)).toThrow('(say the zone: 2026-11-20T18:00Z, or')
    const nowMs = Date.UTC(2026, 10, 20, 18)
    expect(readMoment('2026-11-20T17:59:30Z', nowMs)).toBe(nowMs - 30_000)
    expect(() => readMoment('2026-11-20T17:50:00Z', nowMs)).toThrow('not a moment to come')
  })

  it('are printed by their two largest units', () => {
    const cases: readonly (readonly [number, string])[] = [
      [0, '0s'],
      [-5, '0s'],
      [8_000, '8s'],
      [200_000, '3m 20s'],
      [3_600_000, '1h'],
      [100_800_000, '1d 4h'],
    ]
    for (const [ms, text] of cases) expect(durationText(ms)).toBe(text)
  })
})

describe('amounts and increments', () => {
  it('are read in the digits of the currency', () => {
    expect(readAmount('12.5', 'EUR')).toBe(1250)
    expect(() => readAmount('12.5', 'JPY')).toThrow('not an amount in JPY')
    expect(readIncrements('0:0.50,100:5', 'EUR')).toEqual([
      { from: 0, step: 50 },
      { from: 10_000, step: 500 },
    ])
    for (const text of ['', '5', '0:1:2', '0:x']) expect(() => readIncrements(text, 'EUR')).toThrow()
  })
})

describe('text', () => {
  it('aligns columns by characters, numbers to the right', () => {
    expect(
      table(
        [{ title: 'A' }, { title: 'N', isRight: true }, { title: 'T' }],
        [
          ['ää', '5', 'x'],
          ['b', '100', 'y'],
        ],
      ),
    ).toBe('A     N  T\nää    5  x\nb   100  y')
  })

  it('loses what could drive a terminal, and cuts with an ellipsis', () => {
    expect(plain('a\u001B[31m\u202Eb\n')).toBe('a�[31m�b�')
    expect(clip('abcdef', 4)).toBe('abc…')
    expect(clip('abcd', 4)).toBe('abcd')
  })
})
