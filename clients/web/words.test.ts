import { describe, expect, it } from 'vitest'
import { frameErrors } from '../../protocol/frame-errors.ts'
import { problems } from '../../protocol/problems.ts'
import { aliasInWords, bidsInWords, sentenceOf } from './words.ts'

describe('the codes of the house, in sentences', () => {
  it('has one for every code of a problem or a refused frame that a reader can meet', () => {
    for (const code of [...Object.keys(problems), ...Object.keys(frameErrors)])
      expect(sentenceOf(code)).not.toContain(code)
  })

  it('says so when it does not know a code', () => {
    expect(sentenceOf('from_the_future')).toContain('from_the_future')
    expect(sentenceOf('toString')).toContain('toString')
  })

  it('counts bids and names aliases', () => {
    expect([0, 1, 2].map(bidsInWords)).toEqual(['No bids yet', '1 bid', '2 bids'])
    expect(aliasInWords('bidder-12')).toBe('Bidder 12')
    expect(aliasInWords('somebody')).toBe('somebody')
  })
})
