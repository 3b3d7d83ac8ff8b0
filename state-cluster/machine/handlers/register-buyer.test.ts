import { describe, expect, it } from 'vitest'
import type { SubjectId } from '../../../protocol/ids.ts'
import { limits } from '../limits.ts'
import { Sale } from '../testing/sale.ts'
import { buyerView, interestedBuyers } from '../views.ts'

const ids = (one: Sale, tags: string[], after?: string, limit = 100) =>
  interestedBuyers(one.state, tags, after as SubjectId | undefined, limit).map((buyer) => buyer.id)

describe('register_buyer', () => {
  it('BUYER1: a buyer is found by id and by its interests, in order of id, once', () => {
    for (const restarts of [false, true]) {
      const one = new Sale()
      one.buyer('zoe', ['art', 'clock'], 'https://zoe.example/hook')
      one.buyer('ann', ['art'])
      one.buyer('bob', ['clock', 'oak'])
      one.buyer('eve')
      if (restarts) one.restart()
      expect(buyerView(one.state, 'zoe' as SubjectId)).toEqual({
        id: 'zoe',
        name: 'Buyer zoe',
        interests: ['art', 'clock'],
        endpoint: 'https://zoe.example/hook',
      })
      expect(buyerView(one.state, 'nobody' as SubjectId)).toBeUndefined()
      expect(ids(one, ['art', 'clock'])).toEqual(['ann', 'bob', 'zoe'])
      expect(ids(one, ['art', 'clock'], 'ann', 1)).toEqual(['bob'])
      expect(ids(one, ['art', 'art'])).toEqual(['ann', 'zoe'])
      expect(ids(one, ['none'])).toEqual([])
      expect(ids(one, [])).toEqual([])
    }
  })

  it('BUYER2: registering again replaces name, interests and endpoint', () => {
    const one = new Sale()
    one.buyer('ann', ['art', 'clock'], 'https://ann.example/hook')
    expect(one.buyer('ann', ['oak'])).toEqual({ ok: true, type: 'buyer', buyerId: 'ann' })
    expect(buyerView(one.state, 'ann' as SubjectId)).toEqual({
      id: 'ann',
      name: 'Buyer ann',
      interests: ['oak'],
    })
    expect(ids(one, ['art', 'clock'])).toEqual([])
    expect(ids(one, ['oak'])).toEqual(['ann'])
    expect(one.state.buyers.size).toBe(1)
    expect(one.state.tags.size).toBe(1)
  })

  it('BUYER3: a field out of range is terms_invalid', () => {
    const one = new Sale()
    const wrong = { ok: false, code: 'terms_invalid' }
    expect(one.buyer('ann', ['b', 'a'])).toEqual(wrong)
    expect(one.buyer('ann', [''])).toEqual(wrong)
    expect(
      one.buyer(
        'ann',
        Array.from({ length: limits.interestsMax + 1 }, (_, i) => `t${100 + i}`),
      ),
    ).toEqual(wrong)
    expect(one.buyer('ann', [], `https://${'x'.repeat(limits.endpointLengthMax)}`)).toEqual(wrong)
    const command = {
      type: 'register_buyer',
      subject: 'ann' as SubjectId,
      buyerId: 'ann' as SubjectId,
      serverId: 's1' as never,
      interests: [],
    } as const
    for (const name of ['', 'x'.repeat(limits.nameLengthMax + 1)])
      expect(one.ask({ ...command, requestId: one.nextRequest(), name })).toEqual(wrong)
    expect(one.state.buyers.size).toBe(0)
  })
})
