/** Request bodies: aliases, normal forms, and what is refused with which words. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type HttpBodyName, httpBodies, readHttpBody } from './http-bodies.ts'
import { durationMsMax, itemLengthMax, tagsPerAuctionMax } from './limits.ts'
import { problems } from './problems.ts'

const read = <Name extends HttpBodyName>(name: Name, body: unknown) =>
  readHttpBody(name, JSON.stringify(body))
const terms = { title: 'Vase', openingBid: 500, durationMs: 60_000 }

describe('WIRE20 aliases', () => {
  it('basePrice, duration in minutes, and price of a bid mean the contract’s fields', () => {
    expect(read('createAuction', { title: 'Vase', tags: [], basePrice: 500, duration: 1.5 })).toEqual({
      ok: true,
      body: { title: 'Vase', tags: [], openingBid: 500, durationMs: 90_000 },
    })
    expect(read('placeBid', { auctionId: 'a1', price: 700 })).toEqual({
      ok: true,
      body: { auctionId: 'a1', amount: 700 },
    })
  })

  it('decimal minutes are exact milliseconds; a fraction of a millisecond is refused', () => {
    for (const [duration, durationMs] of [
      [4.35, 261_000],
      [1.005, 60_300],
      [0.1, 6_000],
      [10_080.35, 604_821_000],
    ] as const)
      expect(read('createAuction', { title: 'Vase', openingBid: 1, duration })).toMatchObject({
        body: { durationMs },
      })
    expect(read('createAuction', { title: 'Vase', openingBid: 1, duration: 0.00001 })).toMatchObject({
      code: 'field_invalid',
    })
  })

  it('an alias may repeat its field, not contradict it', () => {
    expect(read('placeBid', { auctionId: 'a1', price: 700, amount: 700 })).toMatchObject({ ok: true })
    expect(read('placeBid', { auctionId: 'a1', price: 700, amount: 701 })).toEqual({
      ok: false,
      code: 'field_invalid',
      message: 'price and amount say different things; send one',
    })
    expect(read('createAuction', { ...terms, duration: 2 })).toMatchObject({ code: 'field_invalid' })
  })

  it('the time of an extension may have any of its four names', () => {
    for (const body of [{ byMs: 90_000 }, { durationMs: 90_000 }, { extensionMs: 90_000 }, { duration: 1.5 }])
      expect(read('extendAuction', body)).toEqual({ ok: true, body: { byMs: 90_000 } })
    expect(read('extendAuction', { byMs: 1, durationMs: 2 })).toMatchObject({ code: 'field_invalid' })
    expect(read('extendAuction', { extensionMs: 1, durationMs: 2 })).toMatchObject({ code: 'field_invalid' })
    expect(read('extendAuction', {})).toMatchObject({ code: 'field_invalid' })
  })

  it('an alias is held to the same rules', () => {
    expect(read('placeBid', { auctionId: 'a1', price: 7.5 })).toMatchObject({ code: 'amount_invalid' })
    expect(read('createAuction', { title: 'Vase', basePrice: 1, duration: 1e-9 })).toEqual({
      ok: false,
      code: 'field_invalid',
      message: `durationMs must be an integer from 1 to ${durationMsMax} (milliseconds)`,
    })
  })
})

describe('MOMENT2 an opening', () => {
  it('is in milliseconds of the years 2000 to 9999; seconds and microseconds are refused', () => {
    const opening = (opensAt: number) => read('createAuction', { ...terms, opensAt })
    const dates = [Date.UTC(2000, 0, 1), Date.UTC(2026, 10, 20, 18), Date.UTC(9999, 11, 31, 23, 59, 59)]
    for (const atMs of dates) {
      expect(opening(atMs)).toMatchObject({ ok: true, body: { opensAt: atMs } })
      for (const opensAt of [Math.floor(atMs / 1000), atMs * 1000])
        expect(opening(opensAt)).toMatchObject({
          ok: false,
          code: 'field_invalid',
          message: expect.stringMatching(/^opensAt must be .*not seconds/),
        })
    }
    expect(opening(0).ok).toBe(false)
  })
})

describe('WIRE24 null', () => {
  it('equals an optional field left out; of an item it is the value', () => {
    const nulls = {
      currency: null,
      reserve: null,
      buyNow: null,
      opensAt: null,
      increments: null,
      softClose: null,
    }
    expect(read('createAuction', { ...terms, ...nulls, format: null, tags: null, item: null })).toEqual({
      ok: true,
      body: { ...terms, tags: [], item: null },
    })
    expect(read('registerBuyer', { name: 'Ann', interests: null, endpoint: null })).toEqual({
      ok: true,
      body: { name: 'Ann', interests: [] },
    })
    expect(read('placeBid', { auctionId: 'a1', price: null, amount: 5, kind: null })).toMatchObject({
      ok: true,
    })
  })

  it('is refused for a required field', () => {
    expect(read('placeBid', { auctionId: 'a1', amount: null })).toMatchObject({ code: 'field_invalid' })
    expect(read('createAuction', { ...terms, title: null })).toMatchObject({ code: 'field_invalid' })
  })
})

describe('WIRE21 normal forms', () => {
  it('tags come out lower-case, in normal form, once each, in the order given', () => {
    const decomposed = 'e\u0301te\u0301'
    expect(
      read('registerBuyer', { name: ' Ann ', interests: ['Zebra', 'art', 'ART', decomposed, ' zebra '] }),
    ).toEqual({
      ok: true,
      body: { name: 'Ann', interests: ['zebra', 'art', '\u00e9t\u00e9'] },
    })
  })

  it('a tag that grows beyond the bound in lower case is refused', () => {
    const interests = ['\u0130'.repeat(40)]
    expect(read('registerBuyer', { name: 'Ann', interests })).toMatchObject({
      message: 'interests.0 must be text of 1 to 64 characters, in lower case too',
    })
  })

  it('lists may be left out', () => {
    expect(read('registerBuyer', { name: 'Ann' })).toMatchObject({ body: { interests: [] } })
    expect(read('createAuction', terms)).toMatchObject({ body: { tags: [] } })
  })
})

describe('WIRE22 bodies that are refused', () => {
  it.each([
    [
      'registerBuyer',
      { interests: [] },
      'name must be text of 1 to 200 characters without control characters',
    ],
    [
      'registerBuyer',
      { name: 'A', endpoint: 'ftp://x' },
      'endpoint must be an http or https address of up to 2048 characters',
    ],
    [
      'registerBuyer',
      { name: 'A', endpoint: 'http://user:pass@x/' },
      'endpoint must be an http or https address of up to 2048 characters',
    ],
    ['registerBuyer', { name: 'A', interests: 'art' }, 'interests must be an array of tags'],
    [
      'createAuction',
      { ...terms, title: 'a\u0007b' },
      'title must be text of 1 to 200 characters without control characters',
    ],
    [
      'createAuction',
      { ...terms, openingBid: -1 },
      'openingBid must be an integer from 0 to 9007199254740991 (minor units)',
    ],
    [
      'createAuction',
      { ...terms, openingBid: 0.5 },
      'openingBid must be an integer from 0 to 9007199254740991 (minor units)',
    ],
    [
      'createAuction',
      { ...terms, openingBid: '5' },
      'openingBid must be an integer from 0 to 9007199254740991 (minor units)',
    ],
    ['createAuction', { ...terms, currency: 'euro' }, 'currency must be three capital letters (ISO 4217)'],
    [
      'createAuction',
      { ...terms, durationMs: 0 },
      `durationMs must be an integer from 1 to ${durationMsMax} (milliseconds)`,
    ],
    [
      'createAuction',
      { ...terms, tags: Array.from({ length: tagsPerAuctionMax + 1 }, String) },
      `tags must have at most ${tagsPerAuctionMax} tags`,
    ],
    [
      'createAuction',
      { ...terms, increments: [] },
      'increments must be an increment table: 1 to 64 bands are needed',
    ],
    [
      'createAuction',
      { ...terms, increments: [{ from: 5, step: 1 }] },
      'increments must be an increment table: the first band starts at 0',
    ],
    [
      'createAuction',
      { ...terms, softClose: { windowMs: 5 } },
      'softClose.extensionMs must be an integer from 1 to 86400000 (milliseconds)',
    ],
    [
      'createAuction',
      { ...terms, item: 'x'.repeat(itemLengthMax) },
      `item must be JSON of at most ${itemLengthMax} characters`,
    ],
    ['placeBid', { amount: 5 }, 'auctionId must be an id: 1 to 128 characters of A-Z a-z 0-9 . _ : @ -'],
    ['extendAuction', {}, `byMs must be an integer from 1 to ${durationMsMax} (milliseconds)`],
    ['issueToken', { subject: 'bob', roles: ['root'] }, 'roles.0 must be one of bidder, seller, operator'],
    ['issueToken', { subject: 'bob', roles: [] }, 'roles must name at least one role'],
  ] as const)('%s %j', (name, body, message) => {
    expect(read(name, body)).toEqual({ ok: false, code: 'field_invalid', message })
  })

  it('answers a number that is no amount as amount_invalid', () => {
    for (const amount of [-1, 1.5, 2 ** 53])
      expect(read('placeBid', { auctionId: 'a1', amount })).toMatchObject({ code: 'amount_invalid' })
    expect(read('placeBid', { auctionId: 'a1', amount: '5' })).toMatchObject({ code: 'field_invalid' })
  })

  it('accepts an empty body where no field is required', () => {
    expect(readHttpBody('manageAuction', '')).toEqual({ ok: true, body: {} })
    expect(readHttpBody('placeBid', ' \n')).toMatchObject({ ok: false, code: 'field_invalid' })
  })

  it('refuses what is not JSON, not an object, too deep', () => {
    expect(readHttpBody('placeBid', '{')).toMatchObject({ code: 'malformed_json' })
    expect(readHttpBody('placeBid', '[]')).toMatchObject({ code: 'not_an_object' })
    expect(readHttpBody('createAuction', `{"item":${'['.repeat(9000)}`)).toMatchObject({ code: 'too_deep' })
  })

  it('WIRE9 never throws and always has a problem to answer with', () => {
    const names = Object.keys(httpBodies) as HttpBodyName[]
    const field = fc.constantFrom(
      'title',
      'tags',
      'openingBid',
      'basePrice',
      'duration',
      'durationMs',
      'item',
      'name',
      'amount',
      'price',
      'increments',
      'softClose',
      'roles',
      'byMs',
    )
    const body = fc.oneof(
      fc.json(),
      fc.dictionary(field, fc.jsonValue()).map((value) => JSON.stringify(value)),
      fc.string(),
    )
    fc.assert(
      fc.property(fc.constantFrom(...names), body, (name, text) => {
        const result = readHttpBody(name, text)
        expect(result.ok || Object.hasOwn(problems, result.code)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })
})
