import { describe, expect, it } from 'vitest'
import { AssertionError, assert, fail } from './assert.ts'

describe('assert', () => {
  it('does nothing while the rule holds', () => {
    expect(() => assert(true, 'the rule')).not.toThrow()
  })

  it('says the rule and the facts, nested ones too', () => {
    const facts = { id: 1, ids: [1, [2, 3]], config: { voters: [1], autoLeave: false }, nothing: null }
    const error = (() => {
      try {
        return fail('the rule', facts)
      } catch (thrown) {
        return thrown as AssertionError
      }
    })()
    expect(error).toBeInstanceOf(AssertionError)
    expect(error.rule).toBe('the rule')
    expect(error.facts).toBe(facts)
    expect(error.message).toBe(
      'the rule (id=1, ids=[1 [2 3]], config={(voters=[1], autoLeave=false)}, nothing=null)',
    )
    expect(() => assert(0, 'the rule')).toThrow('the rule')
  })
})
