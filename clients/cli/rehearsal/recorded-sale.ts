/**
 * A recorded sale, read from CSV: auctions, bids by time, winners and prices.
 * Invariant: amounts are minor units; every row is one bid; a fault names file and line and ends the run before
 * anything was sent. Columns: `auctionid,item,days,openbid,price,bidtime,bidder,bid`, in any order; others are
 * ignored. Names are compared in Unicode normal form C. Source: docs/protocol.md, "Command line".
 */
import type { Amount } from '../../../protocol/money.ts'
import { amountFault, parseAmount } from '../../core/index.ts'
import { usageFailure } from '../failure.ts'
import { bidTimes } from './bid-times.ts'
import { type CsvRecord, readCsv } from './csv.ts'

export interface RecordedBid {
  readonly bidder: string
  readonly amount: Amount
  /** Since the auction's start, in whatever unit the file has: for the order alone. */
  readonly time: number
}

export interface RecordedAuction {
  readonly id: string
  readonly item: string
  readonly openingBid: Amount
  /** What it was sold for. */
  readonly price: Amount
  /** Who bid most; the earliest of them at a tie. */
  readonly winner: string
  /** In order of time; at the same time in that of the file. At least one. */
  readonly bids: readonly RecordedBid[]
}

/** A bid that is not above all earlier ones, or a price below the highest: no sale of plain bids records either. */
export function showsMaxima({ bids, price }: RecordedAuction): boolean {
  let highest = -1
  for (const { amount } of bids) {
    if (amount <= highest) return true
    highest = amount
  }
  return price < highest
}

const columns = ['auctionid', 'item', 'openbid', 'price', 'bidtime', 'bidder', 'bid'] as const
type Column = (typeof columns)[number]
type Row = Readonly<Record<Column, string>> & { readonly line: number }

interface Gathered {
  readonly first: Row
  readonly bids: RecordedBid[]
  /** Columns that a warning was given for. */
  readonly warned: Set<Column>
}

/**
 * Reads a sale. `currency` says how many digits its amounts have. Throws a usage failure. Where rows of one
 * auction contradict each other about its opening bid or price, the first row counts and `warn` is called once.
 */
export function readRecordedSale(
  text: string,
  file: string,
  currency: string,
  warn: (words: string) => void,
): readonly RecordedAuction[] {
  const auctions = new Map<string, Gathered>()
  const rows = [...rowsOf(text, file)]
  const timeOf = bidTimes(rows.map(({ bidtime }) => bidtime))
  for (const row of rows) {
    const at = `${file}:${row.line}`
    const gathered = auctions.get(row.auctionid) ?? { first: row, bids: [], warned: new Set<Column>() }
    auctions.set(row.auctionid, gathered)
    for (const column of ['openbid', 'price'] as const) {
      if (row[column] === gathered.first[column] || gathered.warned.has(column)) continue
      // 5, 5.0 and 5.00 are one amount.
      if (isSameAmount(row[column], gathered.first[column], currency)) continue
      gathered.warned.add(column)
      warn(
        `${at}: ${column} of auction ${row.auctionid} is not that of line ${gathered.first.line}, which counts`,
      )
    }
    const time = timeOf(row.bidtime)
    if (typeof time === 'string') throw usageFailure(`${at}: bidtime ${time}: ${row.bidtime}`)
    gathered.bids.push({ bidder: row.bidder, amount: amountOf(row, 'bid', at, currency), time })
  }
  if (auctions.size === 0) throw usageFailure(`${file}: there is no bid in it`)
  return [...auctions].map(([id, gathered]) => auctionOf(id, gathered, file, currency))
}

function* rowsOf(text: string, file: string): Generator<Row> {
  const records = readCsv(text, file)
  const head: CsvRecord | undefined = records.next().value ?? undefined
  const names = head?.fields.map((name) => name.trim().toLowerCase()) ?? []
  const missing = columns.filter((column) => !names.includes(column))
  if (missing.length > 0)
    throw usageFailure(
      `${file}:1: the first line must name the columns ${columns.join(',')}; missing: ${missing.join(', ')}`,
    )
  const places = columns.map((column) => [column, names.indexOf(column)] as const)
  for (const { line, fields } of records) {
    if (fields.length !== names.length)
      throw usageFailure(
        `${file}:${line}: ${fields.length} fields where the first line names ${names.length}`,
      )
    const values = Object.fromEntries(
      places.map(([column, place]) => [column, fields[place]?.trim().normalize('NFC') ?? '']),
    )
    const row = { ...(values as Record<Column, string>), line }
    for (const column of ['auctionid', 'bidder'] as const)
      if (row[column] === '') throw usageFailure(`${file}:${line}: ${column} is empty`)
    yield row
  }
}

function isSameAmount(text: string, other: string, currency: string): boolean {
  const [one, two] = [parseAmount(text, currency), parseAmount(other, currency)]
  return one.ok && two.ok && one.amount === two.amount
}

function amountOf(row: Row, column: Column, at: string, currency: string): Amount {
  const read = parseAmount(row[column], currency)
  if (!read.ok) throw usageFailure(`${at}: ${column}: ${amountFault(row[column], currency, read)}`)
  return read.amount
}

function auctionOf(id: string, { first, bids }: Gathered, file: string, currency: string): RecordedAuction {
  const at = `${file}:${first.line}`
  const inOrder = bids.toSorted((a, b) => a.time - b.time)
  const highest = inOrder.reduce((best, bid) => (bid.amount > best.amount ? bid : best))
  return {
    id,
    item: first.item,
    openingBid: amountOf(first, 'openbid', at, currency),
    price: amountOf(first, 'price', at, currency),
    winner: highest.bidder,
    bids: inOrder,
  }
}
