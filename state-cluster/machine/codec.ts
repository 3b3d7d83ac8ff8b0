/**
 * Encodes commands and entries as compact tuples with stable codes, for the log.
 *
 * Leaves the bytes to the replica, and whether a command is allowed to `apply`.
 *
 * Invariant: `decodeEntry(encodeEntry(entry))` equals `entry`, except that −0 becomes 0. Data that does not fit throws
 * `CodecError`; half a command is never returned. A new field goes to the end, under a new entry version.
 * Source: docs/spec.md ENTRY1.
 */
import type { AuctionId, RequestId, ServerId, SubjectId } from '../../protocol/ids.ts'
import type { IncrementBand, IncrementsByCurrency, IncrementTable } from '../../protocol/money.ts'
import {
  type AuctionTerms,
  type BidKind,
  type Command,
  type CommandType,
  commandCodes,
  type MachineEntry,
  type RegisterBuyer,
  type SoftClose,
} from './commands.ts'
import { flatten } from './interned.ts'
import type { Plain } from './plain.ts'
import { corrupt, orNull, TupleReader } from './plain-reader.ts'

/*
 *  entry    [version, atMs, [command …]]          command  [code, …]; by code:
 * Commands 1 to 9 end with [ageMs | null] if they were sent before; 5 to 9 with [ageMs | null, seq | null,
 * closesAt | null] if they expect a state.
 *  1 register_buyer   [subject, request, server, buyer, name, [interest …], endpoint | null]
 *  2 create_auction   [subject, request, server, auction, terms]
 *  3 place_bid        [subject, request, auction, amount, 0 max | 1 exact]
 *  4 buy_now          [subject, request, auction]
 *  5 close, 6 cancel, 7 pause, 8 resume   [subject, request, operator, auction]
 *  9 extend_auction   [subject, request, operator, auction, byMs]
 * 10 enlist_server    [server]          11 conduct  [server, epoch]
 * 12 acknowledge_positions  [server, epoch, [position …]]
 * 13 configure_house  [outageExtensionMinMs, outageThresholdMs, [feature …], [currency, [from, step, …], …]?]
 * 14 release_server   [server, epoch]   15 acquire_monitor_lease  [monitor, ttlMs]
 * 16 reassign  [monitor, token, server, epoch]    17 shift_clock  [toMs]
 * 18 revoke_tokens  [subject | null, untilMs | null]
 * terms  [title, [tag …], format, currency, openingBid, durationMs, opensAt | null, reserve | null,
 *         buyNow | null, [from, step, …], [windowMs, extensionMs, limit | null] | null, item | null,
 *         1 (the house's increments count)?]
 */

/** An entry as the log holds it. */
export type EntryTuple = readonly [version: number, atMs: number, commands: readonly (readonly Plain[])[]]

export function encodeEntry(entry: MachineEntry): EntryTuple {
  return [entry.version, entry.atMs, entry.commands.map(encodeCommand)]
}

/** Throws `CodecError`. The version is not checked here: `apply` does that. */
export function decodeEntry(value: unknown): MachineEntry {
  const fields = new TupleReader('entry', value, 3)
  const version = fields.count()
  const atMs = fields.count()
  const commands = fields.raw()
  if (!Array.isArray(commands)) return corrupt('entry: the commands are not a list')
  return { version, atMs, commands: commands.map(decodeCommand) }
}

/**
 * The content of a command, without subject, server, role, age and expectation: a retry has the same content, also
 * when it comes through another server.
 */
export function contentOf(command: Extract<Command, { requestId: unknown }>): readonly Plain[] {
  switch (command.type) {
    case 'place_bid':
      return [command.auctionId, command.amount, codeOfKind(command.kind)]
    case 'register_buyer':
      return [command.buyerId, command.name, command.interests, orNull(command.endpoint)]
    case 'create_auction':
      return [command.auctionId, encodeTerms(command.terms)]
    case 'extend_auction':
      return [command.auctionId, command.byMs]
    case 'buy_now':
    case 'close_auction':
    case 'cancel_auction':
    case 'pause_auction':
    case 'resume_auction':
      return [command.auctionId]
  }
}

export function encodeCommand(command: Command): readonly Plain[] {
  const tuple = encodeFields(command)
  if (!('requestId' in command)) return tuple
  const expected = 'operator' in command ? command.expected : undefined
  if (expected !== undefined)
    return [...tuple, orNull(command.ageMs), orNull(expected.seq), orNull(expected.closesAtMs)]
  return command.ageMs === undefined ? tuple : [...tuple, command.ageMs]
}

function encodeFields(command: Command): readonly Plain[] {
  const code = commandCodes[command.type]
  switch (command.type) {
    // Commands are written at the rate of bids: no list is made on the way.
    case 'place_bid': {
      const { subject, requestId, auctionId, amount, kind } = command
      return [code, subject, requestId, auctionId, amount, codeOfKind(kind)]
    }
    case 'buy_now':
      return [code, command.subject, command.requestId, ...contentOf(command)]
    case 'register_buyer':
    case 'create_auction':
      return [code, command.subject, command.requestId, command.serverId, ...contentOf(command)]
    case 'close_auction':
    case 'cancel_auction':
    case 'pause_auction':
    case 'resume_auction':
    case 'extend_auction':
      return [code, command.subject, command.requestId, command.operator, ...contentOf(command)]
    case 'enlist_server':
      return [code, command.serverId]
    case 'conduct':
    case 'release_server':
      return [code, command.serverId, command.epoch]
    case 'acquire_monitor_lease':
      return [code, command.monitorId, command.ttlMs]
    case 'reassign':
      return [code, command.monitorId, command.token, command.serverId, command.epoch]
    case 'acknowledge_positions':
      return [code, command.serverId, command.epoch, command.positions]
    case 'configure_house': {
      const { outageExtensionMinMs, outageThresholdMs } = command.settings
      const tables = encodeHouseIncrements(command.settings.increments)
      return [code, outageExtensionMinMs, outageThresholdMs, command.features, ...tables]
    }
    case 'shift_clock':
      return [code, command.toMs]
    case 'revoke_tokens':
      return [code, orNull(command.subject), orNull(command.untilMs)]
  }
}

/** Throws `CodecError`. */
export function decodeCommand(value: unknown): Command {
  const fields = new TupleReader('command', value)
  const type = fields.coded<CommandType>(commandCodes)
  const command = decodeFields(type, fields)
  const whole = fields.left > 0 && 'requestId' in command ? withConditions(command, fields) : command
  fields.end()
  return whole
}

/** Adds what stands at the end of a command that was sent before or expects a state. */
function withConditions(command: Extract<Command, Requested>, fields: TupleReader): Command {
  const ageMs = fields.optionalCount()
  const aged = ageMs === undefined ? command : { ...command, ageMs }
  if (fields.left === 0 || !('operator' in aged)) return aged
  const seq = fields.optionalCount()
  const closesAtMs = fields.optionalCount()
  const expected = {
    ...(seq === undefined ? {} : { seq }),
    ...(closesAtMs === undefined ? {} : { closesAtMs }),
  }
  return { ...aged, expected }
}

interface Requested {
  readonly subject: SubjectId
  readonly requestId: RequestId
}

// Commands are read at the rate of bids, so fields are listed by name and no closure is made.
function requestedOf(fields: TupleReader): Requested {
  return { subject: fields.id(), requestId: fields.id() }
}

function managedOf(fields: TupleReader): Requested & { operator: boolean; auctionId: AuctionId } {
  return { subject: fields.id(), requestId: fields.id(), operator: fields.flag(), auctionId: fields.id() }
}

function decodeFields(type: CommandType, fields: TupleReader): Command {
  switch (type) {
    case 'place_bid':
      return {
        type,
        subject: fields.id(),
        requestId: fields.id(),
        auctionId: fields.id(),
        amount: fields.number(),
        kind: decodeKind(fields.count()),
      }
    case 'buy_now':
      return { type, ...requestedOf(fields), auctionId: fields.id() }
    case 'register_buyer':
      return decodeBuyer(type, fields)
    case 'create_auction':
      return {
        type,
        ...requestedOf(fields),
        serverId: fields.id(),
        auctionId: fields.id(),
        terms: decodeTerms(fields.raw()),
      }
    case 'close_auction':
    case 'cancel_auction':
    case 'pause_auction':
    case 'resume_auction':
      return { type, ...managedOf(fields) }
    case 'extend_auction':
      return { type, ...managedOf(fields), byMs: fields.number() }
    case 'enlist_server':
      return { type, serverId: fields.id() }
    case 'conduct':
    case 'release_server':
      return { type, serverId: fields.id(), epoch: fields.count() }
    case 'acquire_monitor_lease':
      return { type, monitorId: fields.id<string>(), ttlMs: fields.count() }
    case 'reassign':
      return {
        type,
        monitorId: fields.id<string>(),
        token: fields.count(),
        serverId: fields.id(),
        epoch: fields.count(),
      }
    case 'acknowledge_positions':
      return { type, serverId: fields.id(), epoch: fields.count(), positions: fields.counts() }
    case 'configure_house': {
      const settings = { outageExtensionMinMs: fields.number(), outageThresholdMs: fields.number() }
      const features = fields.counts()
      return { type, settings: { ...settings, ...decodeHouseIncrements(fields) }, features }
    }
    case 'shift_clock':
      return { type, toMs: fields.number() }
    case 'revoke_tokens': {
      const subject = fields.optionalId<SubjectId>()
      const untilMs = fields.optionalCount()
      return { type, ...(subject !== undefined && { subject }), ...(untilMs !== undefined && { untilMs }) }
    }
  }
}

function codeOfKind(kind: BidKind): number {
  return kind === 'max' ? 0 : 1
}

function decodeKind(code: number): BidKind {
  if (code > 1) return corrupt('command: the kind of bid is not known')
  return code === 0 ? 'max' : 'exact'
}

function decodeBuyer(type: 'register_buyer', fields: TupleReader): RegisterBuyer {
  const { subject, requestId } = requestedOf(fields)
  const serverId = fields.id<ServerId>()
  const buyerId = fields.id<SubjectId>()
  const name = fields.text()
  const interests = fields.texts()
  const endpoint = fields.optionalText()
  const buyer = { type, subject, requestId, serverId, buyerId, name, interests }
  return endpoint === undefined ? buyer : { ...buyer, endpoint }
}

function encodeTerms(terms: AuctionTerms): readonly Plain[] {
  const { softClose } = terms
  return [
    terms.title,
    terms.tags,
    terms.format,
    terms.currency,
    terms.openingBid,
    terms.durationMs,
    orNull(terms.opensAtMs),
    orNull(terms.reserve),
    orNull(terms.buyNow),
    flatten(terms.increments),
    softClose === undefined ? null : [softClose.windowMs, softClose.extensionMs, orNull(softClose.limit)],
    orNull(terms.item),
    ...(terms.usesHouseIncrements === true ? [1] : []),
  ]
}

function decodeTerms(value: unknown): AuctionTerms {
  const fields = new TupleReader('terms', value)
  const base = {
    title: fields.text(),
    tags: fields.texts(),
    format: fields.text(),
    currency: fields.text(),
    openingBid: fields.number(),
    durationMs: fields.number(),
  }
  const opensAtMs = fields.optionalNumber()
  const reserve = fields.optionalNumber()
  const buyNow = fields.optionalNumber()
  const increments = decodeIncrements(fields.raw())
  const softClose = fields.raw()
  const item = fields.optionalText()
  const usesHouseIncrements = fields.left > 0
  if (usesHouseIncrements && fields.count() !== 1) return corrupt('terms: the last field is not known')
  fields.end()
  return {
    ...base,
    ...(opensAtMs === undefined ? {} : { opensAtMs }),
    ...(reserve === undefined ? {} : { reserve }),
    ...(buyNow === undefined ? {} : { buyNow }),
    increments,
    ...(usesHouseIncrements ? { usesHouseIncrements } : {}),
    ...(softClose === null ? {} : { softClose: decodeSoftClose(softClose) }),
    ...(item === undefined ? {} : { item }),
  }
}

/** Throws `CodecError`. Whether the bands are a valid table is checked with the terms. */
export function decodeIncrements(value: unknown): IncrementTable {
  const fields = new TupleReader('increments', value)
  const bands: IncrementBand[] = []
  while (fields.left > 0) bands.push({ from: fields.number(), step: fields.number() })
  return bands
}

/** The house's tables as one more field, or as none. */
export function encodeHouseIncrements(tables: IncrementsByCurrency | undefined): readonly Plain[] {
  if (tables === undefined) return []
  return [Object.entries(tables).flatMap(([currency, table]) => [currency, flatten(table)])]
}

/** The same back, where a field is left. Throws `CodecError`. */
export function decodeHouseIncrements(fields: TupleReader): { readonly increments?: IncrementsByCurrency } {
  if (fields.left === 0) return {}
  const pairs = new TupleReader('house increments', fields.raw())
  const tables: [string, IncrementTable][] = []
  while (pairs.left > 0) tables.push([pairs.text(), decodeIncrements(pairs.raw())])
  const increments = Object.fromEntries(tables)
  // Each currency once and in order, so that equal tables are equal rows.
  const isInOrder = tables.every(([currency], at) => at === 0 || currency > (tables[at - 1]?.[0] ?? ''))
  if (tables.length === 0 || !isInOrder || Object.keys(increments).some((name) => !/^[A-Z]{3}$/.test(name)))
    return corrupt('house increments: not by currency, in order')
  return { increments }
}

/** Throws `CodecError`. */
export function decodeSoftClose(value: unknown): SoftClose {
  const fields = new TupleReader('soft close', value, 3)
  const windowMs = fields.number()
  const extensionMs = fields.number()
  const limit = fields.optionalNumber()
  return limit === undefined ? { windowMs, extensionMs } : { windowMs, extensionMs, limit }
}
