/**
 * `martillo rehearse FILE.csv`: runs a recorded sale through a house and compares.
 * Invariant: exit code 0 means that every auction had its recorded winner, and its recorded price or an explanation;
 * a file that cannot be read ends the run (2) before anything is sent. Source: docs/protocol.md, "Command line".
 */
import type { Command } from 'commander'
import { CliFailure, exitCodes, usageFailure } from './failure.ts'
import { type Io, note, printJson, printLine } from './io.ts'
import { readIncrementsFile } from './rehearsal/increments-file.ts'
import { Progress } from './rehearsal/progress.ts'
import { type RecordedAuction, readRecordedSale } from './rehearsal/recorded-sale.ts'
import { type AuctionResult, rehearse } from './rehearsal/rehearsal.ts'
import { auctionJson, resultsText, summaryOf } from './rehearsal/report.ts'
import { Target, type TargetOptions, withTargetOptions } from './target.ts'
import { readTextFile } from './text-file.ts'
import { readInteger } from './values.ts'

interface RehearseOptions extends TargetOptions {
  readonly concurrency: string
  readonly currency: string
  readonly encoding?: string
  readonly exact?: true
  readonly increments?: string
}

const warningsMax = 5

export function registerRehearseVerb(program: Command, io: Io): void {
  withTargetOptions(
    program
      .command('rehearse')
      .description('run a recorded sale through the house and compare')
      .argument('<file>', 'CSV: auctionid,item,days,openbid,price,bidtime,bidder,bid')
      .option('--concurrency <count>', 'auctions side by side', '24')
      .option('--currency <code>', 'currency of the recorded amounts', 'USD')
      .option('--exact', 'play the bids as plain bids, each for its amount')
      .option('--increments <file>', 'table of increments: CSV from,step in units; 0:0.50,100:5; or JSON')
      .option(
        '--encoding <name>',
        'of the file, as windows-1252; default: UTF-8, or what its first bytes say',
      ),
  )
    .addHelpText(
      'after',
      [
        '',
        'Every bid is placed as a hidden maximum, or with --exact as a plain bid, in order of time; then the hammer',
        "falls. A difference is explained as hidden_reserve when the winner's maximum is the recorded price, unless the",
        'whole sale looks like one of plain bids (plain_bids). What is not explained exits 1.',
        '',
        'Examples:',
        '  $ martillo rehearse ebay-auctions.csv --json',
        '  $ martillo rehearse saleroom.csv --exact --increments saleroom-increments.csv',
      ].join('\n'),
    )
    .action((file: string, options: RehearseOptions) => runRehearsal(file, options, io))
}

/** Reads the file; the first few warnings are printed, the others counted. */
function readSale(file: string, options: RehearseOptions, io: Io): readonly RecordedAuction[] {
  let warnings = 0
  const text = readTextFile(file, options.encoding)
  const sale = readRecordedSale(text, file, options.currency, (words) => {
    warnings += 1
    if (warnings <= warningsMax) note(io, `martillo: ${words}`)
  })
  if (warnings > warningsMax) note(io, `martillo: ${file}: and ${warnings - warningsMax} more like these`)
  return sale
}

async function runRehearsal(file: string, options: RehearseOptions, io: Io): Promise<void> {
  const { currency } = options
  if (!/^[A-Z]{3}$/.test(currency)) throw usageFailure(`not a currency: ${currency} (write it as USD)`)
  const concurrency = readInteger('--concurrency', options.concurrency, 1, 1000)
  const sale = readSale(file, options, io)
  const increments =
    options.increments === undefined
      ? undefined
      : readIncrementsFile(readTextFile(options.increments, options.encoding), options.increments, currency)
  const target = new Target(options, io)
  const operatorToken = await target.requireManagingToken()
  const progress = new Progress(sale, io)
  const results: AuctionResult[] = []
  try {
    await rehearse(sale, {
      target,
      operatorToken,
      currency,
      kind: options.exact === true ? 'exact' : 'max',
      ...(increments === undefined ? {} : { increments }),
      concurrency,
      signal: io.signal,
      onBid: () => progress.bid(),
      onAuction: (result) => {
        results.push(result)
        progress.auction()
        if (target.isJson) printJson(io, auctionJson(result, currency))
      },
    })
  } finally {
    progress.end()
  }
  const summary = summaryOf(sale, results)
  if (target.isJson) printJson(io, summary)
  else printLine(io, resultsText(sale, results, summary, currency))
  if (io.signal.aborted)
    throw new CliFailure(exitCodes.refused, `stopped after ${results.length} of ${sale.length} auctions`)
  if (summary.unexplained > 0)
    throw new CliFailure(
      exitCodes.refused,
      `${summary.unexplained} of ${sale.length} auctions differ without an explanation`,
    )
}
