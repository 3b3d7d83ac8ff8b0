/** Moments that are in the calendar and those that are not. */
import { describe, expect, it } from 'vitest'
import { parseMoment } from './moments.ts'

describe('MOMENT1 parseMoment', () => {
  it.each([
    ['2026-11-20T18:00:00Z', Date.UTC(2026, 10, 20, 18), true],
    ['2026-11-20t18:00:00z', Date.UTC(2026, 10, 20, 18), true],
    ['2026-11-20T18:00+01:00', Date.UTC(2026, 10, 20, 17), true],
    ['2026-11-20 18:00:00.25-0530', Date.UTC(2026, 10, 20, 23, 30, 0, 250), true],
    ['2028-02-29T00:00:00Z', Date.UTC(2028, 1, 29), true],
    ['2026-11-20T18:00:00', Date.UTC(2026, 10, 20, 18), false],
    ['2026-12-31T23:59:59-12:00', Date.UTC(2027, 0, 1, 11, 59, 59), true],
  ])('reads %s', (text, atMs, hasZone) => {
    expect(parseMoment(text)).toEqual({ atMs, hasZone })
  })

  it.each([
    '2027-02-30T18:00:00Z',
    '2027-02-29T18:00:00Z',
    '2027-04-31T18:00:00Z',
    '2027-13-01T18:00:00Z',
    '2027-00-01T18:00:00Z',
    '2027-01-00T18:00:00Z',
    '2027-01-01T24:00:00Z',
    '2027-01-01T18:60:00Z',
    '2027-01-01T18:00:60Z',
    '2027-01-01T18:00:00+24:00',
    '2027-01-01T18:00:00+01:60',
    '2027-01-01T18:00:00 CET',
    '0026-11-20T18:00:00Z',
    '2026-11-20',
    '2026-11-20T18',
    '20.11.2026 18:00',
    '11/20/2026 18:00',
    '1795000000',
    '',
  ])('refuses %s', (text) => {
    expect(parseMoment(text)).toBeUndefined()
  })
})
