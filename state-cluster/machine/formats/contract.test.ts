import { describe, expect, it } from 'vitest'
import { formatCases } from './contract.ts'
import { formatOf, formats } from './registry.ts'

for (const format of formats) {
  describe(`format ${format.name}`, () => {
    for (const one of formatCases(format)) it(one.title, () => one.run())

    it('is found by its name, which no other format has', () => {
      expect(formatOf(format.name)).toBe(format)
      expect(formats.filter((other) => other.name === format.name)).toHaveLength(1)
    })
  })
}

describe('the contract suite', () => {
  it('fails for a format that breaks a rule', () => {
    const english = formats[0]
    if (english === undefined) throw new Error('no format')
    // `walked` looks formats up by name, so the broken one takes the place of the real one's decision.
    const decideBid = english.decideBid
    const broken = english as { decideBid: typeof decideBid }
    broken.decideBid = (...given) => {
      const decision = decideBid(...given)
      return decision.isAccepted ? { isAccepted: false, code: 'bid_too_low' } : decision
    }
    try {
      const failed = formatCases(english).filter((one) => {
        try {
          one.run()
          return false
        } catch {
          return true
        }
      })
      expect(failed.map((one) => one.title.split(':')[0])).toContain('BID3')
    } finally {
      broken.decideBid = decideBid
    }
  })
})
