import { describe, expect, it, vi } from 'vitest'
import { InvariantError } from '../assert.ts'
import { knownFeatures } from '../features.ts'
import { emptyState, newGroupState, rows, stateHash, takeDirty } from '../state.ts'
import { restored } from '../testing/restored.ts'
import { terms as lawful, Sale } from '../testing/sale.ts'

// No release has a feature yet, so this test brings its own table.
vi.mock('../feature-numbers.ts', () => ({ featureNumbers: { later_feature: 9, test_feature: 4 } }))

const later = 'later_feature' as never
const test = 'test_feature' as never

const settings = { outageExtensionMinMs: 7_000, outageThresholdMs: 3_000 }

describe('configure_house', () => {
  it('HOUSE1: settings hold from then on, also after a restart', () => {
    const one = new Sale()
    expect(one.ask({ type: 'configure_house', settings, features: [] })).toEqual({ ok: true, type: 'done' })
    expect(one.state.house.settings).toEqual(settings)
    expect(one.restart().state.house.settings).toEqual(settings)
  })

  const tables = { EUR: [{ from: 0, step: 7 }], JPY: [{ from: 0, step: 1_000 }] }

  it('HOUSE8: tables by currency hold from then on, also after a restart, for auctions that bring none', () => {
    const one = new Sale()
    one.enlist()
    one.auction('before', { currency: 'JPY', usesHouseIncrements: true })
    one.ask({ type: 'configure_house', settings: { ...settings, increments: tables }, features: [] })
    const again = one.restart()
    expect(again.state.house.settings).toEqual({ ...settings, increments: tables })
    expect(stateHash(again.state)).toEqual(stateHash(one.state))
    for (const sale of [one, again]) {
      sale.auction('yen', { currency: 'JPY', usesHouseIncrements: true })
      sale.auction('own', { currency: 'JPY' })
      sale.auction('usd', { currency: 'USD', usesHouseIncrements: true })
      const stepsOf = (id: string) => sale.view(id).increments
      expect(stepsOf('yen')).toEqual(tables.JPY)
      expect(stepsOf('before')).toEqual(lawful.increments)
      expect(stepsOf('own')).toEqual(lawful.increments)
      expect(stepsOf('usd')).toEqual(lawful.increments)
    }
  })

  it('HOUSE8: a creation that comes again after the tables changed names the auction that exists', () => {
    const one = new Sale()
    one.enlist()
    one.ask({ type: 'configure_house', settings: { ...settings, increments: tables }, features: [] })
    one.auction('a1', { currency: 'JPY', usesHouseIncrements: true })
    one.ask({ type: 'configure_house', settings, features: [] })
    expect(one.auction('a1', { currency: 'JPY', usesHouseIncrements: true })).toMatchObject({ ok: true })
    expect(one.auction('a1', { currency: 'JPY' })).toMatchObject({ ok: false, code: 'auction_exists' })
    expect(one.view('a1').increments).toEqual(tables.JPY)
  })

  it('HOUSE8: faulty tables are terms_invalid', () => {
    const one = new Sale()
    for (const increments of [
      { EUR: [] },
      { EUR: [{ from: 1, step: 1 }] },
      { EUR: [{ from: 0, step: 0 }] },
      Object.fromEntries(
        Array.from({ length: 65 }, (_, at) => [
          `A${String.fromCharCode(65 + (at >> 3), 65 + (at & 7))}`,
          tables.EUR,
        ]),
      ),
    ])
      expect(
        one.ask({ type: 'configure_house', settings: { ...settings, increments }, features: [] }),
      ).toEqual({
        ok: false,
        code: 'terms_invalid',
      })
    expect(one.state.house.settings).not.toHaveProperty('increments')
  })

  it('HOUSE1: out of range they are terms_invalid and the old ones stay', () => {
    const one = new Sale()
    one.ask({ type: 'configure_house', settings, features: [] })
    for (const wrong of [0, -1, 1.5, 86_400_001, Number.NaN]) {
      for (const key of ['outageExtensionMinMs', 'outageThresholdMs'] as const) {
        const reply = one.ask({
          type: 'configure_house',
          settings: { ...settings, [key]: wrong },
          features: [],
        })
        expect(reply).toEqual({ ok: false, code: 'terms_invalid' })
      }
    }
    expect(one.state.house.settings).toEqual(settings)
  })

  it('HOUSE2: a feature that this build does not know ends the process, which says what to do', () => {
    const one = new Sale()
    expect(knownFeatures).not.toContain(65_535)
    const command = { type: 'configure_house', settings, features: [65_535] } as const
    expect(() => one.ask(command)).toThrow(InvariantError)
    expect(() => one.ask(command)).toThrow(/newer version: upgrade this node \(feature=65535\)/)
  })

  it('HOUSE2: an unknown feature in the state with which a replica starts does so too', () => {
    const one = new Sale()
    // As a later version would leave it.
    one.state.house.features = [4, 65_535]
    one.state.changes.touch(one.state.house)
    expect(() => restored(rows(one.state))).toThrow(/newer version: upgrade this node \(feature=65535\)/)
  })

  it('HOUSE2: features that are on stay on, and are part of the state', () => {
    const one = new Sale()
    one.ask({ type: 'configure_house', settings, features: [] })
    const before = stateHash(one.state)
    expect(one.state.house.has(test)).toBe(false)
    one.ask({ type: 'configure_house', settings, features: [4] })
    expect([one.state.house.has(test), one.state.house.has(later)]).toEqual([true, false])
    expect(stateHash(one.state)).not.toBe(before)
    one.ask({ type: 'configure_house', settings, features: [] })
    expect(one.state.house.features).toEqual([4])
    one.ask({ type: 'configure_house', settings, features: knownFeatures })
    expect(one.state.house.features).toEqual([4, 9])
    expect([one.restart().state.house.has(test), one.state.house.has(later)]).toEqual([true, true])
    expect(one.state.house.has('unheard_of' as never)).toBe(false)
  })

  it('HOUSE3: a new group begins with the features of its build, as one row', () => {
    const state = newGroupState([4])
    expect(state.house).toMatchObject({ features: [4], lastAtMs: 0 })
    const first = takeDirty(state)
    expect(first).toEqual([...rows(state)])
    expect(first.map((row) => row.kind)).toEqual(['house'])
    const again = restored(rows(state))
    expect(again.house.features).toEqual([4])
    expect(stateHash(again)).toBe(stateHash(state))
    expect(newGroupState().house.features).toEqual([4, 9])
    expect(() => newGroupState([65_535])).toThrow(/upgrade this node/)
  })

  it('HOUSE3: without features a new group has no row, and the hash of an empty state', () => {
    const state = newGroupState([])
    expect(takeDirty(state)).toEqual([])
    expect(stateHash(state)).toBe(stateHash(emptyState()))
  })

  it('HOUSE2: numbers of this build are unique, positive and fit two bytes', async () => {
    const { featureNumbers } =
      await vi.importActual<typeof import('../feature-numbers.ts')>('../feature-numbers.ts')
    const numbers = Object.values<number>(featureNumbers)
    expect(new Set(numbers).size).toBe(numbers.length)
    for (const number of numbers)
      expect(Number.isSafeInteger(number) && number > 0 && number < 65_536).toBe(true)
  })
})
