/**
 * `martillo rehearse FILE.csv`: a recorded sale through a running house, and how the outcome compares. Invariant:
 * exit code 0 means that every auction had its recorded winner, and its recorded price or an explanation; a file
 * that cannot be read ends the run (2) before the house is asked anything. Source: CONTRACT "Command line".
 */
import { readFileSync, statSync } from 'node:fs'
import type { Command } from 'commander'
import { formatAmount } from '../core/index.ts'
import { CliFailure, exitCodes, usageFailure } from './failure.ts'
import { House, type HouseOptions, withHouseOptions } from './house.ts'
import { type Io, note, printJson, printLine } from './io.ts'
import { type RecordedAuction, readRecordedSale } from './rehearsal/recorded-sale.ts'
import { type AuctionResult, rehearse } from './rehearsal/rehearsal.ts'
import { clip, plain, table } from './text.ts'
import { readInteger } from './values.ts'

interface RehearseOptions extends HouseOptions {
  readonly concurrency: string
  readonly currency: string
}

const fileBytesMax = 256 * 1024 * 1024
const progressMs = 500

export function registerRehearseVerb(program: Command, io: Io): void {
  withHouseOptions(
    program
      .command('rehearse')
      .description('run a recorded sale through the house and compare')
      .argument('<file>', 'CSV: auctionid,item,days,openbid,price,bidtime,bidder,bid')
      .option('--concurrency <count>', 'auctions side by side', '24')
      .option('--currency <code>', 'currency of the recorded amounts', 'USD'),
  )
    .addHelpText(
      'after',
      [
        '',
        'Every bid is placed as a hidden maximum, in order of time; then the hammer falls.',
        "A difference is explained as hidden_reserve when the winner's maximum is the recorded price.",
        '',
        'Example:',
        '  $ martillo rehearse ebay-auctions.csv --json',
      ].join('\n'),
    )
    .action((file: string, options: RehearseOptions) => runRehearsal(file, options, io))
}

function readFile(file: string): string {
  try {
    if (statSync(file).size > fileBytesMax) throw usageFailure(`${file}: larger than ${fileBytesMax} bytes`)
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof CliFailure) throw error
    throw usageFailure(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

async function runRehearsal(file: string, options: RehearseOptions, io: Io): Promise<void> {
  const { currency } = options
  if (!/^[A-Z]{3}$/.test(currency)) throw usageFailure(`not a currency: ${currency} (write it as USD)`)
  const concurrency = readInteger('--concurrency', options.concurrency, 1, 1000)
  const sale = readRecordedSale(readFile(file), file, currency, (words) => note(io, `martillo: ${words}`))
  const house = new House(options, io)
  const operatorToken = await house.requireManagingToken()
  const progress = new Progress(sale, io)
  const results: AuctionResult[] = []
  try {
    await rehearse(sale, {
      house,
      operatorToken,
      currency,
      concurrency,
      signal: io.signal,
      onBid: () => progress.bid(),
      onAuction: (result) => {
        results.push(result)
        progress.auction()
        if (house.isJson) printJson(io, auctionJson(result, currency))
      },
    })
  } finally {
    progress.end()
  }
  const summary = summaryOf(sale, results)
  if (house.isJson) printJson(io, summary)
  else printResults(sale, results, summary, currency, io)
  if (io.signal.aborted)
    throw new CliFailure(exitCodes.refused, `stopped after ${results.length} of ${sale.length} auctions`)
  if (summary.unexplained > 0)
    throw new CliFailure(
      exitCodes.refused,
      `${summary.unexplained} of ${sale.length} auctions differ without an explanation`,
    )
}

/** Amounts in minor units, as everywhere on the wire. */
function auctionJson(result: AuctionResult, currency: string): object {
  const { recorded, auctionId, price, winner, difference, bidsAccepted, bidsRefused } = result
  return {
    event: 'auction',
    auctionid: recorded.id,
    item: recorded.item,
    auctionId,
    currency,
    recordedPrice: recorded.price,
    obtainedPrice: price ?? null,
    recordedWinner: recorded.winner,
    obtainedWinner: winner ?? null,
    difference: difference ?? null,
    bids: recorded.bids.length,
    bidsAccepted,
    bidsRefused,
  }
}

interface Summary {
  readonly event: 'summary'
  readonly auctions: number
  /** Auctions with the recorded winner. */
  readonly winners: number
  /** Auctions with the recorded price. */
  readonly prices: number
  readonly hidden_reserve: number
  /** Auctions that differ without an explanation, or did not run. */
  readonly unexplained: number
  readonly bids: number
  readonly bidsAccepted: number
  readonly bidsRefused: number
}

function summaryOf(sale: readonly RecordedAuction[], results: readonly AuctionResult[]): Summary {
  const count = (holds: (result: AuctionResult) => boolean): number => results.filter(holds).length
  const bids = results.reduce((sum, { recorded }) => sum + recorded.bids.length, 0)
  const bidsAccepted = results.reduce((sum, result) => sum + result.bidsAccepted, 0)
  const hiddenReserves = count(({ difference }) => difference === 'hidden_reserve')
  return {
    event: 'summary',
    auctions: sale.length,
    winners: count(({ recorded, winner }) => winner === recorded.winner),
    prices: count(({ recorded, price }) => price === recorded.price),
    hidden_reserve: hiddenReserves,
    unexplained: sale.length - hiddenReserves - count(({ difference }) => difference === undefined),
    bids,
    bidsAccepted,
    bidsRefused: bids - bidsAccepted,
  }
}

function printResults(results: readonly AuctionResult[], summary: Summary, currency: string, io: Io): void {
  const money = (amount: number | undefined): string =>
    amount === undefined ? '-' : formatAmount(amount, currency)
  const rows = inOrderOf(sale, results).map(({ recorded, price, winner, difference, bidsAccepted }) => [
    recorded.id,
    clip(plain(recorded.item), 28),
    `${bidsAccepted}/${recorded.bids.length}`,
    money(recorded.price),
    money(price),
    plain(recorded.winner),
    plain(winner ?? '-'),
    difference ?? '',
  ])
  printLine(
    io,
    table(
      [
        { title: 'AUCTION' },
        { title: 'ITEM' },
        { title: 'BIDS', isRight: true },
        { title: 'RECORDED', isRight: true },
        { title: 'OBTAINED', isRight: true },
        { title: 'WON BY' },
        { title: 'NOW WON BY' },
        { title: 'DIFFERENCE' },
      ],
      rows,
    ),
  )
  const { auctions, winners, prices, hidden_reserve, unexplained, bids, bidsAccepted } = summary
  printLine(io, '')
  printLine(io, `${winners} of ${auctions} auctions have the recorded winner, ${prices} the recorded price;`)
  printLine(io, `${hidden_reserve} differ by a hidden reserve, ${unexplained} without an explanation.`)
  printLine(io, `${bidsAccepted} of ${bids} recorded bids were accepted.`)
}

/** How far the rehearsal is, on standard error: one line that rewrites itself, or now and then a line of its own. */
class Progress {
  readonly #auctions: number
  readonly #bids: number
  readonly #io: Io
  #auctionsDone = 0
  #bidsDone = 0
  #shownMs: number

  constructor(sale: readonly RecordedAuction[], io: Io) {
    this.#auctions = sale.length
    this.#bids = sale.reduce((sum, { bids }) => sum + bids.length, 0)
    this.#io = io
    this.#shownMs = performance.now()
  }

  bid(): void {
    this.#bidsDone += 1
    this.#show()
  }

  auction(): void {
    this.#auctionsDone += 1
    this.#show()
  }

  get #text(): string {
    return `rehearsed ${this.#auctionsDone} of ${this.#auctions} auctions, ${this.#bidsDone} of ${this.#bids} bids`
  }

  #show(): void {
    const nowMs = performance.now()
    const isTerminal = this.#io.stderr.isTTY === true
    if (nowMs - this.#shownMs < (isTerminal ? progressMs : 10 * progressMs)) return
    this.#shownMs = nowMs
    if (isTerminal) this.#io.stderr.write(`\r${this.#text}\u001B[K`)
    else note(this.#io, this.#text)
  }

  end(): void {
    if (this.#io.stderr.isTTY === true) this.#io.stderr.write('\r\u001B[K')
  }
}
