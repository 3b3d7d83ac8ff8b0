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
import { decodeText } from './text-file.ts'

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

function fileOf(text: string | Uint8Array): string {
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
      plain_bids: 0,
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

  const plainSale = [
    head,
    ...Array.from({ length: 16 }, (_, lot) =>
      [10, 40, 90 + lot].map((amount, at) => `P${lot},Lot,1,10,${90 + lot},${at},b${at},${amount}`),
    ).flat(),
  ].join('\n')

  it('CLI15 a sale of plain bids is not explained by reserves: it exits 1, and with --exact it is exact', async () => {
    const asMaxima = await rehearse(fileOf(plainSale), '--json')
    expect(json(asMaxima.stdout).at(-1)).toMatchObject({
      prices: 0,
      hidden_reserve: 0,
      plain_bids: 16,
      unexplained: 16,
    })
    expect([asMaxima.code, asMaxima.stderr]).toEqual([1, expect.stringContaining('16 of 16 auctions differ')])
    expect((await rehearse(fileOf(plainSale))).stdout).toContain('try --exact')
    const exact = await rehearse(fileOf(plainSale), '--exact', '--json')
    expect(json(exact.stdout).at(-1)).toMatchObject({ prices: 16, winners: 16, unexplained: 0 })
    expect(exact.code).toBe(0)
  })

  it('CLI15 one auction that shows a hidden maximum makes reserves possible again', async () => {
    const ran = await rehearse(
      fileOf(`${plainSale}\nM,Lot,1,10,20.5,0,ann,50\nM,Lot,1,10,20.5,1,bob,20\n`),
      '--json',
    )
    expect(json(ran.stdout).at(-1)).toMatchObject({ hidden_reserve: 16, plain_bids: 0, unexplained: 0 })
  })

  it('CLI15 --exact explains nothing by a reserve', async () => {
    const ran = await rehearse(
      fileOf(`${head}\nX,Lot,1,10,70,0,ann,50\nX,Lot,1,10,70,1,bob,60\n`),
      '--exact',
      '--json',
    )
    expect(json(ran.stdout)).toMatchObject([
      { difference: 'differs', obtainedPrice: 6000 },
      { unexplained: 1 },
    ])
    expect(ran.code).toBe(1)
  })

  const table = (text: string): string => {
    const file = join(folder.path, 'increments')
    writeFileSync(file, text)
    return file
  }

  it.each([
    'from,step\n0,5\n100,10\n',
    '0;5\n100;10\n',
    '0:5,100:10\n',
    '[{"from":0,"step":500},{"from":10000,"step":1000}]',
  ])('CLI15 --increments plays it under the table of a file: %j', async (text) => {
    // Ann pays a step above bob's 45: 46 by the default table. His 41 is below the asking bid here.
    const rows = ['0,ann,60', '1,bob,41', '2,bob,45'].map((row) => `T,Lot,1,40,50,${row}`)
    const sale = fileOf([head, ...rows].join('\n'))
    const ran = await rehearse(sale, '--increments', table(text), '--json')
    expect(json(ran.stdout)).toMatchObject([
      { obtainedPrice: 5000, difference: null, bidsRefused: { bid_too_low: 1 } },
      { unexplained: 0 },
    ])
    expect(ran.code).toBe(0)
    expect((await rehearse(sale, '--json')).code).toBe(1)
  })

  it.each([
    ['1,000,5\n', /:1: a band has two values/],
    ['0,5\n"1,000",10\n', /1,000 can be read as/],
    ['5,10\n', /the first band starts at 0/],
    ['step,from\n', /:1: the first line names the columns from,step/],
    ['[{"from":0,"step":0.5}]', /integers in minor units/],
    ['[5', /not a table of increments/],
    ['', /1 to 64 bands/],
  ])('CLI15 a faulty table exits 2: %j', async (text, words) => {
    const ran = await rehearse(smallSale, '--increments', table(text))
    expect([ran.code, ran.stdout]).toEqual([2, ''])
    expect(ran.stderr).toMatch(words)
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
    [`${head}\nA,b,3,1,2,noon,ann,1\n`, /:2: bidtime is not a number, .*: noon/],
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
    expect(read('')).toEqual([])
  })
})

describe('CLI14 files in other forms', () => {
  const rows = [
    head,
    'A,Müller,3,1,9,0.1,Müller,5',
    'A,Müller,3,1,9,0.2,Möller,7',
    'A,Müller,3,1,9,0.3,Mäller,9',
  ]
  const latin1 = Buffer.from(`${rows.join('\r\n')}\r\n`, 'latin1')
  const biddersOf = (text: string): string[] =>
    readRecordedSale(text, 'f', 'USD', () => {}).flatMap(({ bids }) => bids.map(({ bidder }) => bidder))
  const decoded = (bytes: Uint8Array, encoding?: string) => decodeText(bytes, 'f', encoding)

  it('Latin-1 exits 2 with the line, and is read when it is named', async () => {
    const ran = await rehearse(fileOf(latin1))
    expect([ran.code, ran.stdout]).toEqual([2, ''])
    expect(ran.stderr).toMatch(/sale\.csv:2: not UTF-8 \(.*--encoding windows-1252\)/)
    expect(biddersOf(decoded(latin1, 'windows-1252'))).toEqual(['Müller', 'Möller', 'Mäller'])
    const named = await rehearse(fileOf(latin1), '--encoding', 'latin1', '--json')
    expect(named.code).toBe(0)
    expect(json(named.stdout)[0]).toMatchObject({
      recordedWinner: 'Mäller',
      obtainedWinner: 'Mäller',
      bids: 3,
    })
    expect((await rehearse(fileOf(latin1), '--encoding', 'klingon')).stderr).toMatch(
      /not an encoding: klingon/,
    )
  })

  it('byte-order marks say the encoding', () => {
    const text = rows.join('\n')
    const utf16 = Buffer.from(`\uFEFF${text}`, 'utf16le')
    for (const bytes of [Buffer.from(`\uFEFF${text}`), utf16, Buffer.from(utf16).swap16()])
      expect(decoded(bytes)).toBe(text)
  })

  it('what lost its characters before is refused', () => {
    expect(() => decoded(Buffer.from(`${head}\nA,x,3,1,9,0.1,M\uFFFDller,5\n`))).toThrow(
      /f:2: lost characters/,
    )
    expect(() => decoded(Buffer.from(rows.join('\n'), 'utf16le').subarray(0, 20))).toThrow(/is not text/)
  })

  it.each([
    [';', '0,1', '5,50'],
    ['\t', '0,1', '5,50'],
    [',', '0.1', '5.50'],
  ])('values separated by %j, with their fractions', (separator, time, amount) => {
    const form = (line: string) => line.replaceAll(',', separator)
    const row = ['A', 'x', '3', '1', amount, time, 'ann', amount].join(separator)
    const text = `${form(head)}\r\n${row}\r\n`
    for (const whole of [text, `sep=${separator}\r\n${text}`])
      expect(readRecordedSale(whole, 'f', 'EUR', () => {})).toMatchObject([
        { price: 550, bids: [{ time: 0.1 }] },
      ])
  })

  it('a name is one in each of its normal forms', () => {
    const names = biddersOf([head, 'A,x,3,1,9,1,Mu\u0308ller,5', 'A,x,3,1,9,2,M\u00fcller,6'].join('\n'))
    expect(new Set(names).size).toBe(1)
  })

  const timed = (...times: string[]) =>
    readRecordedSale(
      [head, ...times.map((time, at) => `A,x,3,1,9,"${time}",b${at},5`)].join('\n'),
      'f',
      'USD',
      () => {},
    )[0]?.bids.map(({ bidder }) => bidder)

  it('times may be dates, with a zone or without, in order of the moment', () => {
    expect(timed('2026-11-20T18:00:00+02:00', '2026-11-20T16:30:00Z', '2026-11-20T15:00:00Z')).toEqual([
      'b2',
      'b0',
      'b1',
    ])
    expect(timed('2026-11-20 18:00:00.000002', '2026-11-20 18:00:00.000001')).toEqual(['b1', 'b0'])
    expect(timed('2,123', '0,5', '1,25')).toEqual(['b1', 'b2', 'b0'])
    expect(timed('5e-05', '1.5')).toEqual(['b0', 'b1'])
  })

  it.each([
    [['2026-11-20T18:00:00Z', '2026-11-20T18:00:00'], /:3: bidtime must have a zone in all rows, or in none/],
    [['2026-11-20T18:00:00Z', '0.5'], /:3: bidtime is not a date with time/],
    [['2026-02-30T18:00:00Z'], /:2: bidtime is not a number, nor a date/],
    [['20.11.2026 18:00'], /:2: bidtime is not a number, nor a date/],
    [['0x10'], /:2: bidtime is not a number/],
    [['1,234', '2,345'], /:2: bidtime can be read as two numbers/],
    [['1,5', '1.234'], /:2: bidtime has points in some rows and commas in others/],
  ])('times that leave a doubt are refused: %j', (times, words) => {
    expect(() => timed(...times)).toThrow(words)
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
