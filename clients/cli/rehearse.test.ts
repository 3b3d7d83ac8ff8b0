/** Rehearsals of small sales against a small house, and files that are not what they should be. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CliFailure } from './failure.ts'
import { readCsv } from './rehearsal/csv.ts'
import { readRecordedSale } from './rehearsal/recorded-sale.ts'
import { FakeHouse, operatorToken } from './testing/fake-house.ts'
import { type Ran, startVerb, temporaryFolder } from './testing/harness.ts'

const folder = temporaryFolder()
const smallSale = fileURLToPath(new URL('testdata/small-sale.csv', import.meta.url))
const head = 'auctionid,item,days,openbid,price,bidtime,bidder,bid'
let house: FakeHouse

beforeAll(async () => {
  house = await FakeHouse.open()
  writeFileSync(join(folder.path, 'operator.token'), operatorToken)
})
afterAll(async () => {
  await house.close()
  folder.remove()
})

const rehearse = (file: string, ...argv: string[]): Promise<Ran> =>
  startVerb(['rehearse', file, '--url', house.url, '--data', folder.path, ...argv]).ended
const json = (text: string): Record<string, unknown>[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))

function fileOf(text: string): string {
  const file = join(folder.path, 'sale.csv')
  writeFileSync(file, text)
  return file
}

describe('rehearse', () => {
  it('CLI9 places bids in order of time and explains a hidden reserve', async () => {
    const ran = await rehearse(smallSale, '--json')
    const lines = json(ran.stdout)
    const byId = new Map(lines.map((line) => [line['auctionid'], line]))
    expect(byId.get('A1')).toMatchObject({
      item: 'Vase, "blue"',
      recordedPrice: 3050,
      obtainedPrice: 3050,
      recordedWinner: 'bob',
      obtainedWinner: 'bob',
      difference: null,
      bids: 3,
      bidsAccepted: 3,
    })
    expect(byId.get('A2')).toMatchObject({
      obtainedPrice: 4100,
      recordedPrice: 10_000,
      difference: 'hidden_reserve',
    })
    expect(byId.get('A3')).toMatchObject({
      recordedWinner: 'ann',
      obtainedWinner: 'ann',
      difference: null,
      bidsRefused: { bid_too_low: 1 },
    })
    expect(lines.at(-1)).toEqual({
      event: 'summary',
      auctions: 3,
      winners: 3,
      prices: 2,
      hidden_reserve: 1,
      unexplained: 0,
      bids: 8,
      bidsAccepted: 7,
      bidsRefused: 1,
    })
    expect(ran).toMatchObject({ code: 0, stderr: '' })
  })

  it('prints a table in the order of the file, with the sum below', async () => {
    const ran = await rehearse(smallSale, '--concurrency', '1')
    const lines = ran.stdout.split('\n')
    expect(lines.slice(1, 4).map((line) => line.slice(0, 2))).toEqual(['A1', 'A2', 'A3'])
    expect(lines[2]).toContain('hidden_reserve')
    expect(ran.stdout).toContain('3 of 3 auctions have the recorded winner, 2 the recorded price;')
  })

  it('CLI9 a difference without an explanation exits 1', async () => {
    const file = fileOf(`${head}\nB1,Vase,3,1,99,0.1,ann,20\n`)
    const ran = await rehearse(file, '--json')
    expect(json(ran.stdout)).toMatchObject([
      { difference: 'differs', obtainedPrice: 100, recordedPrice: 9900 },
      { unexplained: 1 },
    ])
    expect(ran.code).toBe(1)
    expect(ran.stderr).toContain('1 of 1 auctions differ')
  })

  it('an auction whose bids were all refused passes, and differs', async () => {
    const ran = await rehearse(fileOf(`${head}\nB1,Vase,3,50,20,0.1,ann,20\n`), '--json')
    expect(json(ran.stdout)[0]).toMatchObject({
      difference: 'differs',
      obtainedPrice: null,
      obtainedWinner: null,
    })
    expect(ran.code).toBe(1)
  })

  it('CLI10 registers each bidder once and holds a bounded number of sockets', async () => {
    const rows = Array.from(
      { length: 300 },
      (_, at) => `C${at % 30},Lot,1,1,9,${at},bidder-${at % 200},${1 + at}`,
    )
    const biddersOf = () => [...house.tokens.values()].filter((subject) => /^b\d/.test(subject)).length
    const before = biddersOf()
    const ran = await rehearse(fileOf([head, ...rows].join('\n')), '--json', '--concurrency', '8')
    expect(biddersOf() - before).toBe(200)
    expect(json(ran.stdout).at(-1)).toMatchObject({ auctions: 30, winners: 30, bids: 300, bidsAccepted: 300 })
  })

  it('rows that contradict each other are noted; the first counts', async () => {
    const ran = await rehearse(
      fileOf(`${head}\nD1,Vase,3,1,1,0.1,ann,20\nD1,Vase,3,5,1.00,0.2,ann,30\n`),
      '--json',
    )
    expect(ran.code).toBe(0)
    expect(ran.stderr).toMatch(/sale\.csv:3: openbid of auction D1 is not that of line 2/)
    expect(ran.stderr).not.toContain('price of auction')
  })

  it('of many such rows a few are noted, the others counted', async () => {
    const rows = Array.from({ length: 40 }, (_, at) => `E${at >> 2},Vase,3,1,${at},${at},ann,${at + 1}`)
    const { stderr } = await rehearse(fileOf([head, ...rows].join('\n')), '--json')
    const noted = stderr.split('\n').filter((line) => line.includes('sale.csv'))
    expect(noted).toHaveLength(6)
    expect(noted.at(-1)).toContain('and 5 more like these')
  })

  it('CLI10 an interrupted rehearsal reports how many auctions ran', async () => {
    const running = startVerb(['rehearse', smallSale, '--url', house.url, '--data', folder.path])
    running.interrupt()
    expect(await running.ended).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('stopped after 0 of 3'),
    })
  })
})

describe('CLI11 files that cannot be read', () => {
  it.each([
    ['', /:1: the first line must name the columns/],
    ['a,b,c\n', /:1: .*missing: auctionid, item/],
    [`${head}\n`, /there is no bid/],
    [`${head}\nA,b,3,1,2,0.1,ann\n`, /:2: 7 fields where the first line names 8/],
    [`${head}\nA,b,3,1,2,0.1,ann,1\nA,b,3,1,2,0.1,ann,x\n`, /:3: bid: not an amount in USD: x/],
    [`${head}\nA,b,3,1,2,0.1,ann,1.005\n`, /:2: bid: 1\.005 can be read as 1005 USD or as 1\.005 USD/],
    [`${head}\nA,b,3,1,2,0.1,ann,"1,000"\n`, /:2: bid: 1,000 can be read as 1000 USD or as 1\.000 USD/],
    [`${head}\nA,b,3,"1,000",2,0.1,ann,1\n`, /:2: openbid: 1,000 can be read as/],
    [`${head}\nA,b,3,,2,0.1,ann,1\n`, /:2: openbid: not an amount/],
    [`${head}\nA,b,3,1,-2,0.1,ann,1\n`, /:2: price: not an amount/],
    [`${head}\nA,b,3,1,2,noon,ann,1\n`, /:2: bidtime is not a number: noon/],
    [`${head}\nA,b,3,1,2,,ann,1\n`, /:2: bidtime is not a number/],
    [`${head}\n,b,3,1,2,0.1,ann,1\n`, /:2: auctionid is empty/],
    [`${head}\nA,b,3,1,2,0.1,,1\n`, /:2: bidder is empty/],
    [`${head}\nA,"b,3,1,2,0.1,ann,1\n`, /:2: a quoted field is not closed/],
    [`${head}\nA,"b"x,3,1,2,0.1,ann,1\n`, /:2: text after the closing quote/],
    [`${head}\nA,b"x,3,1,2,0.1,ann,1\n`, /:2: a quote in a field that is not quoted/],
  ])('%j', async (text, words) => {
    const auctionsBefore = house.auctions.size
    const ran = await rehearse(fileOf(text))
    expect(ran.stderr).toMatch(words)
    expect(ran.stderr.trimEnd().split('\n')).toHaveLength(1)
    expect([ran.code, ran.stdout, house.auctions.size]).toEqual([2, '', auctionsBefore])
  })
})

describe('CSV', () => {
  const read = (text: string) => [...readCsv(text, 'f')].map(({ line, fields }) => [line, ...fields])

  it('CLI11 keeps commas, quotes and line ends in quoted fields, and counts lines', () => {
    expect(read('a,b\r\n"x,1","say ""hi"""\r\n\r\n"two\nlines",""\nend,')).toEqual([
      [1, 'a', 'b'],
      [2, 'x,1', 'say "hi"'],
      [4, 'two\nlines', ''],
      [6, 'end', ''],
    ])
    expect(read('\uFEFFa\n')).toEqual([[1, 'a']])
    expect(read('')).toEqual([])
  })
})

describe('readRecordedSale', () => {
  const sale = (...rows: string[]) => readRecordedSale([head, ...rows].join('\n'), 'f', 'USD', () => {})

  it('CLI9 the winner bid most, the earliest at a tie, whatever the order of the file', () => {
    const [auction] = sale(
      'A,x,3,1,9,0.9,late,9',
      'A,x,3,1,9,0.2,early,9',
      'A,x,3,1,9,0.1,low,5',
      'A,x,3,1,9,0.2,same,4',
    )
    expect(auction).toMatchObject({ winner: 'early', price: 900, openingBid: 100 })
    expect(auction?.bids.map((bid) => bid.bidder)).toEqual(['low', 'early', 'same', 'late'])
  })

  it('columns may be in any order, with others between', () => {
    const text = 'bid,bidder,extra,BidTime,price,openbid,item,auctionid\n5,ann,?,1,5,1,Vase,A\n'
    expect(readRecordedSale(text, 'f', 'USD', () => {})).toMatchObject([
      { id: 'A', winner: 'ann', item: 'Vase' },
    ])
  })

  it('a fault is a usage failure', () => {
    expect(() => sale('A,x,3,1,9,0.9,late')).toThrow(CliFailure)
  })
})
