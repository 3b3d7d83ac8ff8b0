/** Every client verb against a small house: output, exit codes, and what a user reads when something is wrong. */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FakeHouse, operatorToken } from './testing/fake-house.ts'
import { type Ran, startVerb, temporaryFolder, until } from './testing/harness.ts'

const folder = temporaryFolder()
let house: FakeHouse

beforeAll(async () => {
  house = await FakeHouse.open()
  writeFileSync(join(folder.path, 'operator.token'), `${operatorToken}\n`)
})
afterAll(async () => {
  await house.close()
  folder.remove()
})

const at = (data: string) => ['--url', house.url, '--data', data]
const martillo = (...argv: string[]): Promise<Ran> => startVerb([...argv, ...at(folder.path)]).ended
const lines = (text: string): string[] => text.trimEnd().split('\n')
const json = (text: string): Record<string, unknown>[] => lines(text).map((line) => JSON.parse(line))

function expectOneLine(ran: Ran, code: number, words: RegExp): void {
  expect(ran.stderr).toMatch(words)
  expect(lines(ran.stderr)).toHaveLength(1)
  expect(ran.code).toBe(code)
}

describe('auction', () => {
  it('CLI1 create makes one from units, and says how to bid', async () => {
    const made = await martillo(
      'auction',
      'create',
      '--title',
      'A ship’s clock',
      '--opening',
      '12.50',
      '--duration',
      '1h30m',
      '--currency',
      'EUR',
      '--tag',
      'clocks',
      '--tag',
      'Ships',
      '--soft-close',
      '1m:2m',
      '--reserve',
      '50',
      '--buy-now',
      '80',
      '--increments',
      '0:0.50,100:5',
      '--item',
      '{"year":1890}',
      '--opens-at',
      '2027-01-01T00:00:00Z',
    )
    expect(made).toMatchObject({ code: 0, stderr: '' })
    const view = [...house.auctions.values()].at(-1)?.view
    expect(view).toMatchObject({
      title: 'A ship’s clock',
      openingBid: 1250,
      currency: 'EUR',
      tags: ['clocks', 'ships'],
      buyNow: 8000,
    })
    expect(view?.closesAt).toBe((view?.opensAt ?? 0) + 5_400_000)
    expect(made.stdout).toContain('12.50 EUR')
    expect(lines(made.stdout).at(-1)).toBe(`bid on it: martillo bid ${view?.id} 12.50`)
  })

  it('CLI2 --json prints what the house answered, a line each', async () => {
    const [made] = json((await martillo('auction', 'create', '--title', 'Vase', '--json')).stdout)
    expect(made).toMatchObject({
      id: expect.any(String),
      openingBid: 100,
      status: 'open',
    })
    const [shown] = json((await martillo('auction', 'show', String(made?.['id']), '--json')).stdout)
    expect(shown).toEqual(made)
    const listed = json((await martillo('auction', 'list', '--json', '--limit', '1000000')).stdout)
    expect(listed).toHaveLength(house.auctions.size)
  })

  it('list pages through all, in aligned columns', async () => {
    for (let count = 0; count < 1005; count += 1) house.create({ title: `Lot ${count}` })
    const listed = await martillo('auction', 'list', '--limit', '1003', '--status', 'open')
    const [head, ...rows] = lines(listed.stdout)
    expect(head).toMatch(/^AUCTION +PRICE +ASKING +BIDS +STATUS +TITLE$/)
    expect(rows).toHaveLength(1004)
    expect(rows.at(-1)).toContain('--limit')
    const places = rows.slice(0, -1).map((row) => row.indexOf('open, closes in'))
    expect(new Set(places).size).toBe(1)
    expect((await martillo('auction', 'list', '--status', 'paused')).stdout).toContain('no such auctions')
  })

  it('close, pause, resume, extend and cancel manage one', async () => {
    const { view } = house.create()
    for (const [argv, words] of [
      [['pause', view.id], 'paused'],
      [['resume', view.id], 'open, closes in'],
      [['extend', view.id, '1h'], 'open, closes in 1h'],
      [['cancel', view.id], 'cancelled'],
    ] as const) {
      const ran = await martillo('auction', ...argv)
      expect(ran).toMatchObject({ code: 0, stderr: '' })
      expect(ran.stdout).toContain(words)
    }
    expectOneLine(await martillo('auction', 'close', view.id), 1, /refused: The auction is closed/)
  })

  it('prints nothing that could drive a terminal', async () => {
    const auction = house.create()
    auction.view = { ...auction.view, title: 'evil\u001B[2Jtitle' }
    expect((await martillo('auction', 'show', auction.view.id)).stdout).toContain('evil�[2Jtitle')
  })
})

describe('bid', () => {
  it('CLI3 bids as a bidder of this machine, registered once and kept to its owner', async () => {
    const { view } = house.create()
    const first = await martillo('bid', view.id, '12.50')
    expect(first.stdout).toBe('accepted: you lead at 10.00 USD, your maximum is 12.50 USD\n')
    expectOneLine(first, 0, /registered a bidder .*bidder\.token/)
    const path = join(folder.path, 'bidder.token')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const again = await martillo('bid', view.id, '20')
    expect(again).toMatchObject({ code: 0, stderr: '' })
    const other = await martillo('bid', view.id, '15', '--as', 'ada')
    expect(other.stdout).toBe(
      'accepted, but outbid at once: the price is 15.50 USD, the asking bid 16.00 USD\n',
    )
    expect(readFileSync(join(folder.path, 'bidder-ada.token'), 'utf8')).toMatch(/^token-of-b/)
    expect((await martillo('bid', view.id, '25', '--as', 'ada', '--exact', '--json')).code).toBe(0)
  })

  it('CLI3 registers again where the house does not know the kept token', async () => {
    writeFileSync(join(folder.path, 'bidder-old.token'), 'of-another-house\n')
    const ran = await martillo('bid', house.create().view.id, '10', '--as', 'old')
    expectOneLine(ran, 0, /registered a bidder/)
  })

  it('CLI4 a refused bid exits 1 with the reason, the asking bid and what to try', async () => {
    const { view } = house.create()
    expectOneLine(
      await martillo('bid', view.id, '9.99'),
      1,
      new RegExp(
        `refused: The bid is below the asking bid; the asking bid is 10.00 USD \\(try: martillo bid ${view.id} 10.00\\)`,
      ),
    )
    const refused = await martillo('bid', view.id, '9.99', '--json')
    expect(json(refused.stdout)).toMatchObject([
      { type: 'bid_rejected', code: 'bid_too_low', askingBid: 1000 },
    ])
    expect(refused.code).toBe(1)
  })

  it('MONEY3 an amount that can be read in two ways exits 2 with both, and registers nobody', async () => {
    const { view } = house.create({ currency: 'USD' })
    const subjects = house.tokens.size
    expectOneLine(
      await martillo('bid', view.id, '1,000', '--as', 'newcomer'),
      2,
      /1,000 can be read as 1000 USD or as 1\.000 USD \(write 1000 or 1\.00\)/,
    )
    expect([house.tokens.size, house.auctions.get(view.id)?.view.bidCount]).toEqual([subjects, 0])
    const auctions = house.auctions.size
    for (const [option, text] of [
      ['--opening', '1,000'],
      ['--reserve', '10,000'],
      ['--buy-now', '1.000'],
      ['--increments', '0:1.000'],
    ] as const) {
      const ran = await martillo('auction', 'create', '--title', 'Clock', option, text)
      expectOneLine(ran, 2, /can be read as 10*000 USD or as 10*\.000 USD/)
    }
    expect(house.auctions.size).toBe(auctions)
  })

  it('CLI4 a bid on a closed auction, or on none, exits 1', async () => {
    const auction = house.create()
    house.manage(auction, 'close')
    expectOneLine(await martillo('bid', auction.view.id, '10'), 1, /refused: The auction is closed/)
    const none = await martillo('bid', 'nothing-there', '10', '--json')
    expectOneLine(none, 1, /refused: There is no such auction .*martillo auction list/)
    expect(json(none.stdout)).toMatchObject([{ event: 'failed', code: 'auction_not_found' }])
  })

  it('CLI5 a given token comes before all others, and a bad one is refused', async () => {
    house.tokens.set('mine', 'me')
    const { view } = house.create()
    expect(await martillo('bid', view.id, '10', '--token', 'mine')).toMatchObject({ code: 0, stderr: '' })
    const viaEnv = startVerb(['bid', view.id, '30', ...at(folder.path)], { MARTILLO_TOKEN: 'mine' })
    expect((await viaEnv.ended).stdout).toContain('your maximum is 30.00 USD')
    expectOneLine(await martillo('bid', view.id, '40', '--token', 'forged'), 1, /token is not valid/)
    expectOneLine(
      await martillo('bid', view.id, '40', '--token', operatorToken),
      1,
      /role of a bidder.*martillo buyer add/,
    )
  })

  it('buy-now buys while it is offered', async () => {
    const offered = house.create({ buyNow: 9000 })
    expect(await martillo('buy-now', offered.view.id)).toMatchObject({ code: 0 })
    expectOneLine(await martillo('buy-now', house.create().view.id), 1, /buy-now price is no longer offered/)
  })
})

describe('CLI6 exit codes', () => {
  it.each([
    [['bid', 'a1', '10', '--exactly'], /--exactly/],
    [['bid', 'a1', 'ten'], /ten/],
    [['bid', 'a1', '-5'], /-5/],
    [['bid', 'a1', '10.005'], /10\.005/],
    [['bid', 'a1', '10', '--max', '--exact'], /--exact/],
    [['bid', 'a/1', '10'], /a\/1/],
    [['bid', 'a1', '10', '--as', '../x'], /\.\.\/x/],
    [['bud', 'a1'], /bud/],
    [['bid'], /id/],
    [['auction', 'create'], /--title/],
    [['auction', 'create', '--title', 'x', '--duration', 'soon'], /soon/],
    [['auction', 'create', '--title', 'x', '--opening', '1.234'], /1\.234/],
    [['auction', 'create', '--title', 'x', '--currency', 'euro'], /euro/],
    [['auction', 'create', '--title', 'x', '--item', '{'], /JSON/],
    [['auction', 'create', '--title', 'x', '--increments', '5'], /increments/],
    [['auction', 'create', '--title', 'x', '--increments', '1:1'], /first band starts at 0/],
    [['auction', 'create', '--title', 'x', '--opens-at', 'dusk'], /dusk/],
    [['auction', 'create', '--title', ' '], /title/],
    [['auction', 'list', '--status', 'wild'], /wild/],
    [['auction', 'list', '--limit', '0'], /--limit/],
    [['auction', 'extend', 'a1', '0s'], /0s/],
    [['token', '--role', 'king', '--subject', 'x'], /king/],
    [['token', '--role', 'seller', '--subject', 'a b'], /a b/],
    [['token', '--role', 'seller', '--subject', 'x', '--ttl', '9000d'], /9000d/],
    [['rehearse', 'no-such-file.csv'], /no-such-file\.csv/],
    [['rehearse', 'x.csv', '--concurrency', 'many'], /many/],
  ] as const)('wrong usage is 2: %j', async (argv, words) => {
    house.create()
    const ran = await martillo(...argv)
    expectOneLine(ran, 2, words)
    expect(ran.stdout).toBe('')
  })

  it('text that is no address is 2', async () => {
    for (const url of ['nowhere', 'ftp://x', 'http://user:pass@x'])
      expect((await startVerb(['auction', 'list', '--url', url]).ended).code).toBe(2)
  })

  it('an unreachable house is 3 for every verb, also without a token', async () => {
    const empty = temporaryFolder()
    const gone = await FakeHouse.open()
    const { url } = gone
    await gone.close()
    for (const argv of [
      ['bid', 'a1', '10'],
      ['buy-now', 'a1'],
      ['watch', 'a1'],
      ['auction', 'create', '--title', 'x'],
      ['auction', 'list'],
      ['auction', 'show', 'a1'],
      ['auction', 'close', 'a1'],
      ['auction', 'extend', 'a1', '1m'],
      ['buyer', 'add', '--name', 'x'],
      ['token', '--role', 'seller', '--subject', 'x'],
      ['rehearse', new URL('testdata/small-sale.csv', import.meta.url).pathname],
    ]) {
      const ran = await startVerb([...argv, '--url', url, '--data', empty.path]).ended
      expectOneLine(ran, 3, new RegExp(`no answer from ${url} .*martillo start`))
      expect([argv[0], ran.stdout]).toEqual([argv[0], ''])
    }
    empty.remove()
  })

  it('without a token the failure names the file that would hold one', async () => {
    const empty = temporaryFolder()
    const ran = await startVerb(['auction', 'create', '--title', 'x', ...at(empty.path)]).ended
    expectOneLine(ran, 2, /operator\.token/)
    empty.remove()
  })

  it('a token without the role is 1', async () => {
    house.tokens.set('mine', 'me')
    expectOneLine(
      await martillo('auction', 'close', house.create().view.id, '--token', 'mine'),
      1,
      /Only the seller/,
    )
    expectOneLine(await martillo('token', '--role', 'seller', '--subject', 'x', '--token', 'mine'), 1, /role/)
  })

  it('--help is 0, names every verb, and shows examples', async () => {
    const help = await startVerb(['--help']).ended
    expect(help.code).toBe(0)
    for (const verb of ['auction', 'bid', 'buy-now', 'watch', 'buyer', 'token', 'rehearse'])
      expect(help.stdout).toMatch(new RegExp(`^ +${verb}\\b`, 'm'))
    for (const argv of [
      ['bid'],
      ['auction', 'create'],
      ['watch'],
      ['rehearse'],
      ['token'],
      ['buyer', 'add'],
    ]) {
      const ran = await startVerb([...argv, '--help']).ended
      expect(ran.code).toBe(0)
      expect(ran.stdout).toMatch(/Examples?:\n {2}\$ martillo/)
    }
  })
})

describe('CLI14 arguments', () => {
  it('that were not UTF-8 exit 2: Müller and Möller would be one name', async () => {
    const subjects = house.tokens.size
    expectOneLine(await martillo('buyer', 'add', '--name', 'M\uFFFDller'), 2, /not UTF-8: M\uFFFDller/)
    expect(house.tokens.size).toBe(subjects)
  })
})

describe('buyer and token', () => {
  it('CLI7 print a token once, to standard output', async () => {
    const added = await martillo(
      'buyer',
      'add',
      '--name',
      'Ada',
      '--interest',
      'Clocks',
      '--endpoint',
      'https://a.example/h',
    )
    expect(added.stdout).toMatch(/token +token-of-b\d+/)
    expect(added.stderr).toBe('')
    const [issued] = json(
      (await martillo('token', '--role', 'seller', '--role', 'bidder', '--subject', 'g1', '--json')).stdout,
    )
    expect(issued).toMatchObject({ token: 'token-of-g1', roles: ['seller', 'bidder'], subject: 'g1' })
  })
})

describe('watch', () => {
  const typesOf = (text: string): unknown[] => json(text).map((line) => line['type'])

  it('CLI8 follows an auction until it ends, through a lost connection, each event once', async () => {
    const auction = house.create()
    const { id } = auction.view
    const watching = startVerb(['watch', id, '--json', ...at(folder.path)])
    await until('the snapshot', () => watching.stdout().includes('snapshot'))
    house.bid(auction, 'x', 1500)
    await until('the first bid', () => lines(watching.stdout()).length === 2)
    house.dropSockets()
    house.bid(auction, 'y', 2500)
    await until('the session to be back', () => house.watchersOf(id) === 1)
    house.manage(auction, 'close')
    const ran = await watching.ended
    expect(ran.code).toBe(0)
    expect(typesOf(ran.stdout)).toEqual(['snapshot', 'bid_placed', 'bid_placed', 'auction_sold'])
    expect(ran.stderr).toContain('lost the house (connection lost)')
  })

  it('prints events for people', async () => {
    const auction = house.create()
    const watching = startVerb(['watch', auction.view.id, ...at(folder.path)])
    await until('the snapshot', () => watching.stdout().includes('asking bid'))
    house.bid(auction, 'x', 1500)
    house.bid(auction, 'y', 1200)
    house.manage(auction, 'pause')
    house.manage(auction, 'resume')
    house.manage(auction, 'close')
    const { code, stdout } = await watching.ended
    expect(code).toBe(0)
    for (const words of [
      '#2  bidder-1 leads at 10.00 USD, asking 10.50 USD',
      '#3  bidder-2 outbid at once by bidder-1 at 12.50 USD, asking 13.00 USD',
      '#4  paused',
      '#5  resumed, closes 20',
      '#6  sold to bidder-1 for 12.50 USD',
    ])
      expect(stdout).toContain(words)
  })

  it('ends at once on an auction that has ended, with 1 on one that does not exist, with 0 on Ctrl-C', async () => {
    const auction = house.create()
    house.manage(auction, 'cancel')
    expect(await martillo('watch', auction.view.id)).toMatchObject({ code: 0 })
    const none = await martillo('watch', 'nothing-there')
    expect(none.code).toBe(1)
    expect(none.stderr).toContain('no such auction')
    const watching = startVerb(['watch', house.create().view.id, ...at(folder.path)])
    await until('the snapshot', () => watching.stdout() !== '')
    watching.interrupt()
    expect((await watching.ended).code).toBe(0)
  })
})

describe('house', () => {
  it('CLI13 shows and changes the settings of the whole house, and leaves those not named', async () => {
    const shown = await martillo('house', 'show')
    expect(shown).toMatchObject({ code: 0, stderr: '' })
    expect(lines(shown.stdout).map((line) => line.split(/ {2,}/))).toEqual([
      ['outage minimum', '5s'],
      ['outage threshold', '2s'],
      ['features on', 'none'],
      ['features off', 'some_feature'],
    ])
    const [changed] = json(
      (await martillo('house', 'configure', '--outage-minimum', '7500ms', '--json')).stdout,
    )
    expect(changed).toEqual({
      settings: { outageExtensionMinMs: 7_500, outageThresholdMs: 2_000 },
      features: [],
      featuresOff: ['some_feature'],
    })
    const upgraded = await martillo('house', 'configure', '--outage-threshold', '3s', '--upgrade')
    expect(upgraded.stdout).toMatch(
      /^outage minimum +7500ms\noutage threshold +3s\nfeatures on +some_feature\n/,
    )
    expect(json((await martillo('house', 'show', '--json')).stdout)[0]).toEqual(house.house)
  })

  it('CLI13, HOUSE8 sets and shows increments by currency, in units', async () => {
    const before = house.house
    const ran = await martillo(
      'house',
      'configure',
      '--increments',
      'JPY=0:100,10000:500',
      '--increments',
      'EUR=0:0.50',
    )
    expect(ran.stdout).toMatch(/increments JPY +0:100,10000:500\n/)
    expect(house.house.settings.increments).toEqual({
      EUR: [{ from: 0, step: 50 }],
      JPY: [
        { from: 0, step: 100 },
        { from: 10_000, step: 500 },
      ],
    })
    expect((await martillo('house', 'show')).stdout).toMatch(/increments EUR +0\.00:0\.50\n/)
    await martillo('house', 'configure', '--increments', 'JPY=default', '--increments', 'EUR=default')
    expect(house.house.settings).not.toHaveProperty('increments')
    house.house = before
    for (const text of ['JPY', 'yen=0:1', 'JPY='])
      expectOneLine(await martillo('house', 'configure', '--increments', text), 2, /not the increments of/)
    expectOneLine(
      await martillo('house', 'configure', '--increments', 'USD=0:1.000'),
      2,
      /1\.000 can be read as/,
    )
  })

  it('TIME8, CLI13 shift-clock sends the moment that the house is to have', async () => {
    const fromMs = Date.now()
    expect(await martillo('house', 'shift-clock', '--to', 'now')).toMatchObject({ code: 0, stderr: '' })
    expect(house.clockMs).toBeGreaterThanOrEqual(fromMs)
    expect(house.clockMs).toBeLessThanOrEqual(Date.now())
    await martillo('house', 'shift-clock', '--to', '2021-05-01T12:00:00Z', '--json')
    expect(house.clockMs).toBe(Date.UTC(2021, 4, 1, 12))
    expectOneLine(await martillo('house', 'shift-clock', '--to', 'noon'), 2, /not a moment: noon/)
    expect((await martillo('house', 'shift-clock')).code).toBe(2)
  })

  it('CLI13 names the groups that differ, on standard error as well', async () => {
    const before = house.house
    const { settings, features } = before
    const other = { outageExtensionMinMs: 9_000, outageThresholdMs: 2_000 }
    house.house = {
      ...before,
      groups: [
        { group: 0, settings, features },
        { group: 1, settings: other, features: [] },
      ],
    }
    const shown = await martillo('house', 'show')
    house.house = before
    expectOneLine(shown, 0, /groups of the house differ; repeat martillo house configure/)
    expect(shown.stdout).toMatch(/group 1\noutage minimum +9s\n/)
  })

  it('CLI6, CLI13 wrong usage is 2, a refusal of the house is 1, and help names the precondition', async () => {
    expectOneLine(await martillo('house', 'configure'), 2, /nothing to change \(give --outage-minimum/)
    expectOneLine(await martillo('house', 'configure', '--outage-minimum', '5'), 2, /not a duration: 5/)
    expectOneLine(await martillo('house', 'configure', '--outage-minimum', '2d'), 1, /refused/)
    const { stdout, code } = await martillo('house', 'configure', '--help')
    expect(code).toBe(0)
    expect(stdout).toMatch(/Before --upgrade all nodes must run the new version/)
  })
})
