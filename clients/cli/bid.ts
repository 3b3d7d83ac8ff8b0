/**
 * `martillo bid` and `martillo buy-now`: one bid, retried through lost connections.
 * Invariant: exit code 0 means that the house accepted the bid, 1 that it refused it and why; an unknown outcome is
 * neither.
 */
import type { Command } from 'commander'
import type { AuctionView } from '../../protocol/auction-view.ts'
import { rejections } from '../../protocol/rejection-codes.ts'
import { amountText, type BidOutcome, ClientError, formatAmount, type Session } from '../core/index.ts'
import { CliFailure, exitCodes, usageFailure } from './failure.ts'
import { type Io, printJson, printLine } from './io.ts'
import { Target, type TargetOptions, withTargetOptions } from './target.ts'
import { readAmount, readAuctionId } from './values.ts'

interface BidderOptions extends TargetOptions {
  readonly as?: string
}

interface BidOptions extends BidderOptions {
  readonly exact?: true
  readonly max?: true
}

export function registerBidVerbs(program: Command, io: Io): void {
  const withBidder = (command: Command): Command =>
    withTargetOptions(
      command.option('--as <name>', 'bid as this bidder of yours; its token is kept in the data folder'),
    )
  withBidder(
    program
      .command('bid')
      .description('bid on an auction: by default up to a hidden maximum')
      .argument('<id>', 'id of the auction')
      .argument('<amount>', 'in units of its currency, as 12.50')
      .option('--max', 'the amount is a hidden maximum; the house bids for you (the default)')
      .option('--exact', 'bid exactly this amount'),
  )
    .addHelpText('after', '\nExamples:\n  $ martillo bid ID 12.50\n  $ martillo bid ID 20 --exact --as ada')
    .action(async (id: string, amount: string, options: BidOptions) => {
      const auctionId = readAuctionId(id)
      if (!/\d/.test(amount)) throw usageFailure(`not an amount: ${amount} (write it as 12.50)`)
      if (options.exact === true && options.max === true)
        throw usageFailure('--exact and --max exclude each other')
      const kind = options.exact === true ? 'exact' : 'max'
      await asBidder(options, io, auctionId, ({ currency }) => {
        const inMinorUnits = readAmount(amount, currency)
        return (session) => session.placeBid({ auctionId, amount: inMinorUnits, kind })
      })
    })

  withBidder(
    program
      .command('buy-now')
      .description('buy at the buy-now price, while it is offered')
      .argument('<id>', 'id of the auction'),
  )
    .addHelpText('after', '\nExample:\n  $ martillo buy-now ID')
    .action(async (id: string, options: BidderOptions) => {
      const auctionId = readAuctionId(id)
      await asBidder(options, io, auctionId, () => (session) => session.buyNow({ auctionId }))
    })
}

/**
 * Opens a session as the bidder that the options mean, sends one bid, and prints the outcome. `prepare` may refuse
 * before anybody is registered or connected.
 */
async function asBidder(
  options: BidderOptions,
  io: Io,
  auctionId: AuctionView['id'],
  prepare: (view: AuctionView) => (session: Session) => Promise<BidOutcome>,
): Promise<void> {
  const target = new Target(options, io)
  const view = await target.http().auction(auctionId)
  const ask = prepare(view)
  const session = await openAsBidder(target, options.as)
  try {
    printOutcome(target, view, await ask(session), io)
  } finally {
    session.close()
  }
}

async function openAsBidder(target: Target, name: string | undefined): Promise<Session> {
  const given = name === undefined ? target.givenToken : undefined
  if (given !== undefined) return await openSession(target, given)
  const kept = await target.bidder(name)
  try {
    return await openSession(target, kept.token)
  } catch (error) {
    // The house may have been set up again since the token was kept.
    const isStale = error instanceof ClientError && error.code === 'closed' && !kept.isNew
    if (!isStale) throw error
    return await openSession(target, (await target.bidder(name, true)).token)
  }
}

async function openSession(target: Target, token: string): Promise<Session> {
  const session = target.session(token)
  await session.opened()
  return session
}

function printOutcome(target: Target, view: AuctionView, outcome: BidOutcome, io: Io): void {
  if (target.isJson) printJson(io, outcome)
  const money = (amount: number): string => formatAmount(amount, view.currency)
  if (outcome.type === 'bid_accepted') {
    if (target.isJson) return
    const { price, askingBid, you } = outcome
    const own = you.maxBid === undefined ? '' : `, your maximum is ${money(you.maxBid)}`
    if (you.status === 'won') printLine(io, `sold to you for ${money(price)}`)
    else if (you.status === 'winning') printLine(io, `accepted: you lead at ${money(price)}${own}`)
    else
      printLine(
        io,
        `accepted, but outbid at once: the price is ${money(price)}, the asking bid ${money(askingBid)}`,
      )
    return
  }
  throw new CliFailure(exitCodes.refused, refusalText(view, outcome))
}

function refusalText(
  view: AuctionView,
  { code, askingBid }: Extract<BidOutcome, { type: 'bid_rejected' }>,
): string {
  const words = rejections[code]?.title ?? code
  const asking =
    askingBid === undefined ? '' : `; the asking bid is ${formatAmount(askingBid, view.currency)}`
  const next = (): string => {
    if (code === 'bid_too_low' && askingBid !== undefined)
      return ` (try: martillo bid ${view.id} ${amountText(askingBid, view.currency)})`
    return code === 'not_a_bidder' ? ' (bid without --token, or get one: martillo buyer add --name NAME)' : ''
  }
  return `refused: ${words}${asking}${next()}`
}
