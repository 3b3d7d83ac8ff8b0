/**
 * The contract suite of formats: rules that every format must keep, as test cases.
 *
 * A test runs them on each entry of the registry; a case throws when the format breaks its rule. Leaves the rules of a
 * single format to that format's own test.
 *
 * Invariant: a case uses `apply` alone, with terms that any format accepts, and expects nothing that only one format
 * does.
 * Source: the rules of docs/spec.md that the titles name.
 */
import type { BidKind } from '../commands.ts'
import { type BidPlaced, isPublic } from '../events.ts'
import { violationsOf } from '../testing/invariants.ts'
import { Sale } from '../testing/sale.ts'
import type { Format } from './format.ts'

export interface FormatCase {
  readonly title: string
  run(): void
}

function hold(condition: boolean, what: string): void {
  if (!condition) throw new Error(what)
}

function sound(sale: Sale): void {
  const violations = violationsOf(sale.state)
  hold(violations.length === 0, violations.join('; '))
}

/** A sale with one auction of the format and no bid yet. */
function fresh(format: Format, reserve?: number): Sale {
  const sale = new Sale()
  sale.enlist()
  sale.auction('a1', {
    format: format.name,
    openingBid: format.direction === 'rising' ? 100 : 3_000,
    durationMs: 10_000,
    ...(reserve === undefined ? {} : { reserve }),
  })
  return sale
}

/** The same after sixty bids, which every format can accept or refuse. */
function walked(format: Format, reserve?: number): Sale {
  const sale = fresh(format, reserve)
  const bidders = ['ann', 'bob', 'eve']
  const kinds: readonly BidKind[] = ['max', 'max', 'exact']
  for (let step = 0; step < 60; step++) {
    const amount = 50 + ((step * 7_919) % 3_000)
    sale.pass(10).bid(bidders[step % 3] as string, amount, kinds[step % 7 === 0 ? 2 : 0] as BidKind)
    sound(sale)
  }
  return sale
}

/** The cases of one format. */
export function formatCases(format: Format): readonly FormatCase[] {
  return [
    {
      title: 'BID2: a bid is accepted with one bid_placed, or refused with none and no change',
      run() {
        const sale = walked(format)
        for (const amount of [1, 100, 5_000, 100_000, 100_001]) {
          const before = sale.view()
          const mark = sale.events.length
          const reply = sale.bid('zoe', amount)
          const placed = sale.typesSince(mark).filter((type) => type === 'bid_placed').length
          hold(placed === (reply.ok ? 1 : 0), `${placed} bid_placed for a bid of ${amount}`)
          const count = sale.view().bidCount - before.bidCount
          hold(count === placed, 'bidCount counts accepted bids')
          if (!reply.ok) hold(sale.view().seq === before.seq, 'a refusal takes no seq')
        }
        sound(sale)
      },
    },
    {
      title: 'BID3: a new bidder is accepted at the asking bid, and refused below it',
      run() {
        for (const sale of [fresh(format), walked(format)]) {
          if (sale.view().status !== 'open') continue
          const { askingBid } = sale.view()
          const short = sale.bid('zoe', format.direction === 'rising' ? askingBid - 1 : askingBid + 1)
          hold(!short.ok && short.code === 'bid_too_low', 'below the asking bid is refused')
          hold(!short.ok && short.askingBid === askingBid, 'the refusal has the asking bid')
          hold(sale.bid('zoe', askingBid).ok, 'the asking bid is accepted')
          sound(sale)
        }
      },
    },
    {
      title: 'AUCTION3: seq has no gap and the view has the last',
      run() {
        const sale = walked(format)
        sale.pass(20_000).manage('close_auction')
        const open = sale.events.filter(isPublic)
        open.forEach((event, index) => {
          hold(event.seq === index + 1, `seq ${event.seq} as event ${index + 1}`)
        })
        hold(sale.view().seq === open.length, 'the view has the last seq')
      },
    },
    {
      title: 'AUCTION4: no maximum, reserve or bidder id stands in a public field',
      run() {
        const sale = walked(format, 2_345)
        for (const event of sale.events) {
          if (event.type !== 'bid_placed') continue
          const { secret, ...shown } = event as BidPlaced
          const text = JSON.stringify(shown)
          hold(!text.includes(`"${secret.bidderId}"`), 'the bidder is an alias')
          hold(!format.isSealed || shown.highBidder === '', 'nobody leads in public while bids are sealed')
          const isPrice = [shown.price, shown.askingBid].includes(2_345)
          hold(isPrice || !text.includes('2345'), 'the reserve is a status')
        }
        const seen = JSON.stringify(sale.view())
        for (const name of ['ann', 'bob', 'eve']) hold(!seen.includes(`"${name}"`), 'the view shows aliases')
      },
    },
    {
      title: 'CLOSE2: it ends once, and its result stays',
      run() {
        for (const reserve of [undefined, 500, 1_000_000]) {
          const sale = walked(format, reserve)
          sale.pass(20_000).manage('close_auction')
          const ended = JSON.stringify(sale.view())
          hold(/"status":"(sold|passed)"/.test(ended), 'a close ends it')
          sale.bid('zoe', 9_999)
          sale.buyNow('zoe')
          for (const act of ['close_auction', 'cancel_auction', 'pause_auction', 'resume_auction'] as const)
            sale.manage(act)
          sale.extend(1_000)
          sale.pass(1_000).conduct()
          sale.pass(60_000).conduct()
          hold(JSON.stringify(sale.view()) === ended, 'nothing changes after the end')
          const ends = sale.events.filter((event) => /sold|passed|cancelled/.test(event.type))
          hold(ends.length === 1, 'one end')
          sound(sale)
        }
      },
    },
    {
      title: 'CLOSE1: a pulse after the deadline ends it, and none before',
      run() {
        for (const sale of [fresh(format), walked(format)]) {
          if (sale.view().status !== 'open') continue
          const { closesAt } = sale.view()
          sale.runTo(closesAt - 1)
          hold(sale.view().status === 'open', 'open until its deadline')
          sale.pass(1).conduct()
          hold(sale.view().status !== 'open', 'ended at its deadline')
          sound(sale)
        }
      },
    },
    {
      title: 'CLOSE3: the winner gets won, every other bidder lost, and nobody else anything',
      run() {
        const sale = walked(format)
        sale.manage('close_auction')
        const sent = sale.events.flatMap((event) =>
          event.type === 'won' || event.type === 'lost' ? [`${event.type} ${event.bidderId}`] : [],
        )
        const names = ['ann', 'bob', 'eve'].filter((name) => sale.standing(name).maxBid !== undefined)
        const expected = names.map((name) => `${sale.standing(name).status} ${name}`)
        hold(JSON.stringify(sent.sort()) === JSON.stringify(expected.sort()), `sent: ${sent.join(', ')}`)
        hold(sent.filter((one) => one.startsWith('won')).length === 1, 'one winner')
      },
    },
    {
      title: 'HASH1: restored at any point, it behaves the same',
      run() {
        const one = walked(format, 700)
        const other = walked(format, 700).restart()
        for (const sale of [one, other]) {
          sale.bid('zoe', 4_000)
          sale.bid('ann', 4_500, 'exact')
          sale.pass(20_000).manage('close_auction')
        }
        hold(JSON.stringify(one.view()) === JSON.stringify(other.view()), 'the same view')
        hold(one.state.changes.hash() === other.state.changes.hash(), 'the same hash')
      },
    },
  ]
}
