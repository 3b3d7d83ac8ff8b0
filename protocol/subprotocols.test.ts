/** What is read from the offer of an upgrade. */
import { describe, expect, it } from 'vitest'
import { tokenLengthMax } from './limits.ts'
import { bearerSubprotocol, readOffer } from './subprotocols.ts'

describe('WIRE14 readOffer', () => {
  it('takes the first subprotocol that the house speaks, and the token beside it', () => {
    expect(readOffer('martillo.v1.msgpack, martillo.v1.json')).toEqual({ subprotocol: 'martillo.v1.msgpack' })
    expect(readOffer(`${bearerSubprotocol('ab.cd.ef')},chat , martillo.v1.json`)).toEqual({
      subprotocol: 'martillo.v1.json',
      token: 'ab.cd.ef',
    })
  })

  it('never makes a token the answer', () => {
    expect(readOffer('bearer.martillo.v1.json')).toEqual({ token: 'martillo.v1.json' })
    expect(readOffer('')).toEqual({})
    expect(readOffer('martillo.v2.json')).toEqual({})
  })

  it('ignores tokens beyond the bound', () => {
    expect(readOffer(`bearer.${'x'.repeat(tokenLengthMax + 1)}`)).toEqual({})
    expect(readOffer(`bearer.${'x'.repeat(tokenLengthMax)}`).token).toHaveLength(tokenLengthMax)
  })
})
