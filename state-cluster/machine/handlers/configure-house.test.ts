import { describe, expect, it } from 'vitest'
import { InvariantError } from '../assert.ts'
import { featureNumbers, knownFeatures } from '../features.ts'
import { restore } from '../restore.ts'
import { emptyState, newGroupState, rows, stateHash, takeDirty } from '../state.ts'
import { Sale } from '../testing/sale.ts'

const settings = { outageExtensionMinMs: 7_000, outageThresholdMs: 3_000 }

describe('configure_house', () => {
  it('HOUSE1: settings hold from then on, also after a restart', () => {
    const one = new Sale()
    expect(one.ask({ type: 'configure_house', settings })).toEqual({ ok: true, type: 'done' })
    expect(one.state.house.settings).toEqual(settings)
    expect(one.restart().state.house.settings).toEqual(settings)
  })

  it('HOUSE1: out of range they are terms_invalid and the old ones stay', () => {
    const one = new Sale()
    one.ask({ type: 'configure_house', settings })
    for (const wrong of [0, -1, 1.5, 86_400_001, Number.NaN]) {
      for (const key of ['outageExtensionMinMs', 'outageThresholdMs'] as const) {
        const reply = one.ask({ type: 'configure_house', settings: { ...settings, [key]: wrong } })
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

  it('HOUSE2: so does one in the state that a replica begins with', () => {
    const one = new Sale()
    // As a later version would have left it.
    one.state.house.features = [1, 65_535]
    one.state.changes.touch(one.state.house)
    expect(() => restore(rows(one.state))).toThrow(/newer version: upgrade this node \(feature=65535\)/)
  })

  it('HOUSE2: features that are on stay on, and are part of the state', () => {
    const one = new Sale()
    one.ask({ type: 'configure_house', settings })
    const before = stateHash(one.state)
    expect(one.state.house.has('hand_over_ends_silence')).toBe(false)
    one.ask({ type: 'configure_house', settings, features: knownFeatures })
    expect(one.state.house.has('hand_over_ends_silence')).toBe(true)
    expect(stateHash(one.state)).not.toBe(before)
    one.ask({ type: 'configure_house', settings })
    expect(one.state.house.features).toEqual(knownFeatures)
    expect(one.restart().state.house.has('hand_over_ends_silence')).toBe(true)
  })

  it('HOUSE3: a new group begins with the features of its build, as one row', () => {
    const state = newGroupState([1])
    expect(state.house).toMatchObject({ features: [1], lastAtMs: 0 })
    const first = takeDirty(state)
    expect(first).toEqual([...rows(state)])
    expect(first.map((row) => row.kind)).toEqual(['house'])
    const again = restore(rows(state))
    expect(again.house.features).toEqual([1])
    expect(stateHash(again)).toBe(stateHash(state))
    expect(() => newGroupState([65_535])).toThrow(/upgrade this node/)
  })

  it('HOUSE3: without features it has no row and the hash of nothing', () => {
    const state = newGroupState([])
    expect(takeDirty(state)).toEqual([])
    expect(stateHash(state)).toBe(stateHash(emptyState()))
  })

  it('numbers of features are unique and positive', () => {
    const numbers = Object.values<number>(featureNumbers)
    expect(new Set(numbers).size).toBe(numbers.length)
    for (const number of numbers)
      expect(Number.isSafeInteger(number) && number > 0 && number < 65_536).toBe(true)
  })
})
