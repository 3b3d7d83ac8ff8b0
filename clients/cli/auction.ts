/**
 * `martillo auction …`: makes, lists, shows and manages auctions. Invariant: amounts are typed and printed in
 * units of the auction's currency, and travel as integers.
 */
import type { Command } from 'commander'
import { type AuctionView, auctionStatuses } from '../../protocol/auction-view.ts'
import type { AuctionsQuery, HttpRequestOf } from '../../protocol/http-bodies.ts'
import type { AuctionId } from '../../protocol/ids.ts'
import { pageLimitMax } from '../../protocol/limits.ts'
import { systemClock } from '../../runtime/clock.ts'
import {
  type AuctionAction,
  amountText,
  type ExpectedState,
  formatAmount,
  type HouseHttp,
} from '../core/index.ts'
import { collect } from './buyer.ts'
import { usageFailure } from './failure.ts'
import { type Io, printJson, printLine } from './io.ts'
import { Target, type TargetOptions, withTargetOptions } from './target.ts'
import { auctionText, clip, plain, statusText, table } from './text.ts'
import { readAmount, readAuctionId, readDuration, readIncrements, readInteger, readMoment } from './values.ts'

interface CreateOptions extends TargetOptions {
  readonly title: string
  readonly opening: string
  readonly duration: string
  readonly currency: string
  readonly opensAt?: string
  readonly reserve?: string
  readonly buyNow?: string
  readonly tag?: readonly string[]
  readonly softClose?: string
  readonly increments?: string
  readonly format?: string
  readonly item?: string
}

interface ListOptions extends TargetOptions {
  readonly status?: string
  readonly tag?: string
  readonly limit: string
}

export function registerAuctionVerbs(program: Command, io: Io): void {
  const auction = program.command('auction').description('make, list, show and manage auctions')
  withTargetOptions(
    auction
      .command('create')
      .description('open an auction, now or later')
      .requiredOption('--title <text>', 'what is sold')
      .option('--opening <amount>', 'opening bid, in units', '1.00')
      .option('--duration <duration>', 'how long it takes bids, as 90s, 10m, 1h30m, 7d', '10m')
      .option('--currency <code>', 'three capital letters', 'USD')
      .option(
        '--opens-at <moment>',
        'when it opens, as +10m or 2026-11-20T18:00:00Z, with its zone; default: now',
      )
      .option('--reserve <amount>', 'below this it is not sold')
      .option('--buy-now <amount>', 'price at which it can be had at once')
      .option('--tag <tag>', 'for buyers with that interest; may be given several times', collect)
      .option('--soft-close <window[:extension]>', 'a bid in the last WINDOW extends it, as 1m or 1m:2m')
      .option('--increments <table>', 'own increments, as 0:0.50,100:5; default: those of the house')
      .option('--format <name>', 'format of the auction')
      .option('--item <json>', 'description of the thing, as JSON'),
  )
    .addHelpText(
      'after',
      '\nExample:\n  $ martillo auction create --title "A ship\'s clock" --opening 10 --duration 1h --tag clocks --soft-close 1m',
    )
    .action((options: CreateOptions) => createAuction(new Target(options, io), options, io))

  withTargetOptions(
    auction
      .command('list')
      .description('list auctions')
      .option('--status <status>', auctionStatuses.join(', '))
      .option('--tag <tag>', 'only those with this tag')
      .option('--limit <count>', 'at most so many', '50'),
  )
    .addHelpText('after', '\nExample:\n  $ martillo auction list --status open --tag clocks')
    .action((options: ListOptions) => listAuctions(new Target(options, io), options, io))

  withTargetOptions(
    auction.command('show').description('show one auction').argument('<id>', 'id of the auction'),
  )
    .addHelpText('after', '\nExample:\n  $ martillo auction show ID --json')
    .action((id: string, options: TargetOptions) => showAuction(new Target(options, io), id, io))

  registerManagingVerbs(auction, io)
}

function registerManagingVerbs(auction: Command, io: Io): void {
  const actions: readonly (readonly [AuctionAction, string])[] = [
    ['close', 'let the hammer fall now: sold, or passed'],
    ['cancel', 'cancel an auction; nobody wins it'],
    ['pause', 'stop the clock and take no bids'],
    ['resume', 'continue with the time that was left'],
  ]
  for (const [action, description] of actions) {
    withTargetOptions(auction.command(action).description(description).argument('<id>', 'id of the auction'))
      .addHelpText('after', `\nExample:\n  $ martillo auction ${action} ID`)
      .action(async (id: string, options: TargetOptions) => {
        const target = new Target(options, io)
        const auctionId = readAuctionId(id)
        const token = await target.requireManagingToken()
        const http = target.http(token)
        printAuction(
          target,
          await http.manage(auctionId, action, await stateFor(http, auctionId, action)),
          io,
        )
      })
  }

  withTargetOptions(
    auction
      .command('extend')
      .description('give an auction more time')
      .argument('<id>', 'id of the auction')
      .argument('<duration>', 'by how much, as 90s, 10m, 1h30m'),
  )
    .addHelpText('after', '\nExample:\n  $ martillo auction extend ID 10m')
    .action(async (id: string, duration: string, options: TargetOptions) => {
      const target = new Target(options, io)
      const auctionId = readAuctionId(id)
      const byMs = readDuration(duration)
      const token = await target.requireManagingToken()
      const http = target.http(token)
      const { closesAt } = await http.auction(auctionId)
      printAuction(target, await http.extend(auctionId, byMs, { closesAt }), io)
    })
}

/** An end cannot happen twice; a pause and its end move the deadline, so it names the one that is meant. */
async function stateFor(
  http: HouseHttp,
  auctionId: AuctionId,
  action: AuctionAction,
): Promise<ExpectedState | undefined> {
  if (action === 'close' || action === 'cancel') return undefined
  const { closesAt } = await http.auction(auctionId)
  return { closesAt }
}

function printAuction(target: Target, view: AuctionView, io: Io): void {
  if (target.isJson) printJson(io, view)
  else printLine(io, auctionText(view, systemClock.nowMs()))
}

/** `1m` or `1m:2m`; without an extension, the window once more. */
function readSoftClose(text: string): { windowMs: number; extensionMs: number } {
  const [window, extension, ...rest] = text.split(':')
  if (window === undefined || rest.length > 0)
    throw usageFailure(`not a soft close: ${text} (write it as 1m or 1m:2m)`)
  return { windowMs: readDuration(window), extensionMs: readDuration(extension ?? window) }
}

function readItem(text: string): NonNullable<HttpRequestOf<'createAuction'>['item']> | null {
  try {
    return JSON.parse(text)
  } catch {
    throw usageFailure(`not JSON: ${clip(text, 60)} (write --item as '{"year": 1968}')`)
  }
}

function readTerms(options: CreateOptions): HttpRequestOf<'createAuction'> {
  const { title, currency, opensAt, reserve, buyNow, softClose, increments, format, item } = options
  if (!/^[A-Z]{3}$/.test(currency)) throw usageFailure(`not a currency: ${currency} (write it as EUR)`)
  return {
    title,
    currency,
    tags: [...(options.tag ?? [])],
    openingBid: readAmount(options.opening, currency),
    durationMs: readDuration(options.duration),
    ...(opensAt === undefined ? {} : { opensAt: readMoment(opensAt, systemClock.nowMs()) }),
    ...(reserve === undefined ? {} : { reserve: readAmount(reserve, currency) }),
    ...(buyNow === undefined ? {} : { buyNow: readAmount(buyNow, currency) }),
    ...(softClose === undefined ? {} : { softClose: readSoftClose(softClose) }),
    ...(increments === undefined ? {} : { increments: readIncrements(increments, currency) }),
    ...(format === undefined ? {} : { format }),
    ...(item === undefined ? {} : { item: readItem(item) }),
  }
}

async function createAuction(target: Target, options: CreateOptions, io: Io): Promise<void> {
  const terms = readTerms(options)
  const token = await target.requireManagingToken()
  const view = await target.http(token).createAuction(terms)
  printAuction(target, view, io)
  if (!target.isJson)
    printLine(io, `bid on it: martillo bid ${view.id} ${amountText(view.askingBid, view.currency)}`)
}

async function showAuction(target: Target, id: string, io: Io): Promise<void> {
  printAuction(target, await target.http(target.givenToken).auction(readAuctionId(id)), io)
}

async function listAuctions(target: Target, options: ListOptions, io: Io): Promise<void> {
  const limit = readInteger('--limit', options.limit, 1, 1_000_000)
  const status = auctionStatuses.find((name) => name === options.status)
  if (options.status !== undefined && status === undefined)
    throw usageFailure(`not a status: ${options.status} (one of ${auctionStatuses.join(', ')})`)
  const query: AuctionsQuery = {
    ...(status === undefined ? {} : { status }),
    ...(options.tag === undefined ? {} : { tag: options.tag }),
  }
  const http = target.http(target.givenToken)
  const views: AuctionView[] = []
  let after: string | undefined
  do {
    const pageLimit = Math.min(pageLimitMax, limit - views.length)
    const page = await http.auctions({
      ...query,
      limit: pageLimit,
      ...(after === undefined ? {} : { after }),
    })
    views.push(...page.auctions)
    after = page.next
  } while (after !== undefined && views.length < limit)
  if (target.isJson) {
    for (const view of views) printJson(io, view)
    return
  }
  if (views.length === 0) {
    printLine(io, 'no such auctions (make one: martillo auction create --title "A clock" --opening 10)')
    return
  }
  const nowMs = systemClock.nowMs()
  printLine(
    io,
    table(
      [
        { title: 'AUCTION' },
        { title: 'PRICE', isRight: true },
        { title: 'ASKING', isRight: true },
        { title: 'BIDS', isRight: true },
        { title: 'STATUS' },
        { title: 'TITLE' },
      ],
      views.map((view) => [
        view.id,
        view.price === null ? '-' : formatAmount(view.price, view.currency),
        formatAmount(view.askingBid, view.currency),
        String(view.bidCount),
        statusText(view, nowMs),
        clip(plain(view.title), 60),
      ]),
    ),
  )
  if (after !== undefined) printLine(io, `there are more: --limit ${limit * 2}`)
}
