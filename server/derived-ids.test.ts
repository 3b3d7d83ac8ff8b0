import { describe, expect, test } from 'vitest'
import { isId, type RequestId, type SubjectId } from '../protocol/ids.ts'
import { auctionIdOf, buyerIdOf, newRequestId, requestIdOf, strangerOf } from './derived-ids.ts'

const ann = 'ann' as SubjectId
const key = (text: string) => text as RequestId

describe('derived ids', () => {
  test('HTTP4 the same subject and request id name the same auction and buyer, different ones name different ones', () => {
    expect(auctionIdOf(ann, key('k'))).toBe(auctionIdOf(ann, key('k')))
    expect(auctionIdOf(ann, key('k'))).toMatch(/^[a-z2-7]{20}$/)
    const all = [
      auctionIdOf(ann, key('k')),
      auctionIdOf(ann, key('l')),
      auctionIdOf('bob' as SubjectId, key('k')),
      auctionIdOf('an' as SubjectId, key('nk')),
      buyerIdOf(ann, key('k')),
    ]
    expect(new Set(all).size).toBe(all.length)
  })

  test('HTTP4 a client without a token is known from any address by a long key, by a short one only from its own', () => {
    const long = key('0f8fad5b-d9cb-469f-a165-70867728950e')
    expect(strangerOf(long, '192.0.2.1')).toBe(strangerOf(long, '198.51.100.7'))
    expect(strangerOf(key('1'), '192.0.2.1')).not.toBe(strangerOf(key('1'), '198.51.100.7'))
    expect(strangerOf(key('1'), '192.0.2.1')).toBe(strangerOf(key('1'), '192.0.2.1'))
    expect(isId(strangerOf(key('1'), '::1'))).toBe(true)
  })

  test('HTTP3 any visible key up to 255 characters is valid, quoted or not; an id stays as it is', () => {
    expect(requestIdOf('abc-1')).toBe('abc-1')
    expect(requestIdOf('"abc-1"')).toBe('abc-1')
    expect(requestIdOf('my key / 7')).toBe('my key / 7')
    expect(requestIdOf('"my key / 7"')).toBe('my key / 7')
    const long = requestIdOf(`my key / 7${'x'.repeat(245)}`)
    expect(isId(long)).toBe(true)
    expect(long).toBe(requestIdOf(`"my key / 7${'x'.repeat(245)}"`))
    expect(long).not.toBe(requestIdOf(`my key / 8${'x'.repeat(245)}`))
    for (const bad of ['x'.repeat(256), 'a\u0001', 'ключ', '""'])
      expect(requestIdOf(bad), bad).toBeUndefined()
    expect(newRequestId()).not.toBe(newRequestId())
  })
})
