import { describe, expect, it } from 'vitest'
import { readHttpBody } from '../../protocol/http-bodies.ts'
import type { LocalMoment } from './local-moment.ts'
import { freshFields, readSellForm, type SellFields, tagsOf } from './sell-form.ts'

const nowMs = 1_800_000_000_000
const filled: SellFields = {
  ...freshFields,
  title: '  Brass clock ',
  description: 'Runs.',
  tags: 'Clocks, brass,, clocks',
  openingBid: '1,200.50',
  reserve: '2000',
  buyNow: '3000',
  opensAt: 'later',
}
const later = () => ({ ok: true, atMs: nowMs + 60_000 }) as const

const faultsOf = (change: Partial<SellFields>) => {
  const read = readSellForm({ ...filled, ...change }, nowMs, later)
  return read.ok ? {} : read.faults
}

describe('the form for a new auction', () => {
  it('makes terms that the house takes', () => {
    const read = readSellForm(filled, nowMs, later)
    expect(read).toEqual({
      ok: true,
      terms: {
        title: 'Brass clock',
        tags: ['clocks', 'brass'],
        currency: 'EUR',
        openingBid: 120_050,
        durationMs: 1_800_000,
        item: { description: 'Runs.' },
        opensAt: nowMs + 60_000,
        reserve: 200_000,
        buyNow: 300_000,
        softClose: { windowMs: 120_000, extensionMs: 120_000 },
      },
    })
    expect(readHttpBody('createAuction', JSON.stringify(read.ok && read.terms)).ok).toBe(true)
  })

  it('leaves out what was left empty', () => {
    const fields = {
      ...freshFields,
      title: 'Clock',
      openingBid: '0',
      hasSoftClose: false,
      softCloseWindow: 'x',
    }
    expect(readSellForm(fields, nowMs)).toEqual({
      ok: true,
      terms: { title: 'Clock', tags: [], currency: 'EUR', openingBid: 0, durationMs: 1_800_000 },
    })
  })

  it.each([
    [{ title: ' ' }, 'title'],
    [{ title: 'x'.repeat(201) }, 'title'],
    [{ tags: Array.from({ length: 17 }, (_, i) => `t${i}`).join() }, 'tags'],
    [{ tags: 'x'.repeat(65) }, 'tags'],
    [{ description: 'x'.repeat(9_000) }, 'description'],
    [{ openingBid: '' }, 'openingBid'],
    [{ openingBid: 'ten' }, 'openingBid'],
    [{ currency: 'JPY', openingBid: '10.50' }, 'openingBid'],
    [{ openingBid: '1.000' }, 'openingBid'],
    [{ reserve: '3.000' }, 'reserve'],
    [{ buyNow: '4.000' }, 'buyNow'],
    [{ reserve: '1200' }, 'reserve'],
    [{ buyNow: '1999' }, 'buyNow'],
    [{ openingBid: '0', reserve: '', buyNow: '0' }, 'buyNow'],
    [{ duration: '0' }, 'duration'],
    [{ duration: '1.5' }, 'duration'],
    [{ duration: '367', durationUnit: 'days' }, 'duration'],
    [{ softCloseWindow: '' }, 'softCloseWindow'],
    [{ softCloseExtension: '1441' }, 'softCloseExtension'],
  ] as const)('says what is wrong: %j', (change, field) => {
    expect(Object.keys(faultsOf(change))).toEqual([field])
  })

  it('says what is wrong with the time of opening', () => {
    const at = (moment: LocalMoment) => readSellForm(filled, nowMs, () => moment)
    expect(at({ ok: false, fault: 'None.' })).toMatchObject({ ok: false, faults: { opensAt: 'None.' } })
    expect(at({ ok: true, atMs: nowMs })).toMatchObject({
      ok: false,
      faults: { opensAt: 'That is in the past.' },
    })
  })

  it('names every fault at once', () => {
    expect(Object.keys(faultsOf({ title: '', openingBid: '', duration: '' }))).toEqual([
      'title',
      'openingBid',
      'duration',
    ])
  })

  it('reads tags as people write them', () => {
    expect(tagsOf(' Old Maps ,, SPAIN, old maps')).toEqual(['old maps', 'spain'])
    expect(tagsOf('')).toEqual([])
  })
})
