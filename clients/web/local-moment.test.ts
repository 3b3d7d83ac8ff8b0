/** Local times around the two nights when clocks change. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { localMoment, zoneName } from './local-moment.ts'
import { momentInWords } from './words.ts'

const before = process.env['TZ']
beforeAll(() => {
  process.env['TZ'] = 'Europe/Berlin'
})
afterAll(() => {
  if (before === undefined) delete process.env['TZ']
  else process.env['TZ'] = before
})

describe('MOMENT1 times of the page', () => {
  it('are those of the reader’s zone, which is said', () => {
    expect(zoneName()).toBe('Europe/Berlin')
    expect(localMoment('2026-11-20T18:00')).toEqual({ ok: true, atMs: Date.UTC(2026, 10, 20, 17) })
    expect(localMoment('2026-07-20T18:00:00')).toEqual({ ok: true, atMs: Date.UTC(2026, 6, 20, 16) })
    expect(momentInWords(Date.UTC(2026, 10, 20, 17))).toMatch(/GMT\+1|CET/)
  })

  it.each([
    ['2027-03-28T02:30', /does not exist/],
    ['2027-02-30T18:00', /does not exist/],
    ['2026-10-25T02:30', /comes twice/],
    ['2026-11-20', /no date and time/],
    ['', /no date and time/],
  ])('refuses %j', (text, words) => {
    expect(localMoment(text)).toEqual({ ok: false, fault: expect.stringMatching(words) })
  })

  it.each(['2027-03-28T01:59', '2027-03-28T03:00', '2026-10-25T01:59', '2026-10-25T03:00'])(
    'reads %s, at the edge',
    (text) => {
      expect(localMoment(text)).toMatchObject({ ok: true })
    },
  )
})
