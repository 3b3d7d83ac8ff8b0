import { describe, expect, it } from 'vitest'
import { hashOf, routeOf } from './route.ts'

describe('addresses inside the page', () => {
  it.each([
    ['', { page: 'list', filter: { status: 'open' } }],
    ['#/', { page: 'list', filter: { status: 'open' } }],
    ['#/?status=sold&tag=Clocks', { page: 'list', filter: { status: 'sold', tag: 'clocks' } }],
    ['#/?status=all', { page: 'list', filter: {} }],
    ['#/?status=nonsense', { page: 'list', filter: { status: 'open' } }],
    ['#/auction/abc-1', { page: 'auction', id: 'abc-1' }],
    ['#/auction/a%20b', { page: 'list', filter: { status: 'open' } }],
    ['#/auction/%zz', { page: 'list', filter: { status: 'open' } }],
    ['#/auction/', { page: 'list', filter: { status: 'open' } }],
    ['#/sell', { page: 'sell' }],
    ['#/account', { page: 'account' }],
    ['#/elsewhere', { page: 'list', filter: { status: 'open' } }],
  ])('%j is %j', (hash, route) => {
    expect(routeOf(hash)).toEqual(route)
  })

  it('have one canonical form', () => {
    for (const hash of [
      '#/',
      '#/?status=sold&tag=old+maps',
      '#/?status=all',
      '#/?tag=caf%C3%A9',
      '#/auction/a:b@c',
      '#/sell',
    ])
      expect(routeOf(hashOf(routeOf(hash)))).toEqual(routeOf(hash))
    expect(hashOf(routeOf('#/nowhere'))).toBe('#/')
  })
})
