/**
 * Checks a seller's terms: the range of each, and whether they agree.
 *
 * The edge checks shapes and gives better messages. Leaves what only a format can judge to its `termsFault`.
 *
 * Invariant: terms that pass never lead to a broken invariant later.
 * Source: docs/spec.md AUCTION1, BUYER3.
 */
import { incrementTableFault, isAmount } from '../../protocol/money.ts'
import type { AuctionTerms, SoftClose } from './commands.ts'
import { formatOf, formats } from './formats/registry.ts'
import { type Limits, limits } from './limits.ts'

/** Whether the value is an integer from `least` to `most`. */
export function isWithin(value: number, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= least && value <= most
}

/** Whether a list of tags is sorted, without repeats, not too long, and each of 1 to `tagLengthMax` units. */
export function areTags(tags: readonly string[], countMax: number, limits: Limits): boolean {
  if (tags.length > countMax) return false
  let previous = ''
  for (const tag of tags) {
    if (tag.length > limits.tagLengthMax || tag <= previous) return false
    previous = tag
  }
  return true
}

function isSoftClose(softClose: SoftClose, limits: Limits): boolean {
  const { windowMs, extensionMs, limit } = softClose
  return (
    isWithin(windowMs, 1, limits.softCloseMsMax) &&
    isWithin(extensionMs, 1, limits.softCloseMsMax) &&
    (limit === undefined || isWithin(limit, 0, Number.MAX_SAFE_INTEGER))
  )
}

/**
 * Why no auction can be held on these terms: the field in the words of the public protocol and what it must be, or
 * `undefined` when one can. Depends on the terms alone, so that a server finds the same fault as the machine.
 */
export function termsFault(terms: AuctionTerms, within: Limits = limits): string | undefined {
  const { title, tags, item, currency, durationMs, opensAtMs, softClose } = terms
  if (title.length === 0 || title.length > within.titleLengthMax)
    return `title must have 1 to ${within.titleLengthMax} characters`
  if (!/^[A-Z]{3}$/.test(currency)) return 'currency must be three capital letters (ISO 4217)'
  if (!areTags(tags, within.tagsPerAuctionMax, within))
    return `tags must be sorted, each once, at most ${within.tagsPerAuctionMax} of up to ${within.tagLengthMax} characters`
  if (item !== undefined && item.length > within.itemLengthMax)
    return `item must have at most ${within.itemLengthMax} characters`
  const fault = amountsFault(terms)
  if (fault !== undefined) return fault
  if (!isWithin(durationMs, 1, within.durationMsMax))
    return `durationMs must be an integer from 1 to ${within.durationMsMax}`
  if (opensAtMs !== undefined && !isWithin(opensAtMs, 0, within.opensAtMsMax))
    return `opensAt must be an integer from 0 to ${within.opensAtMsMax}`
  if (softClose !== undefined && !isSoftClose(softClose, within))
    return `softClose must have windowMs and extensionMs from 1 to ${within.softCloseMsMax}, and a limit from 0`
  const format = formatOf(terms.format)
  return format === undefined
    ? `format must be one of ${formats.map(({ name }) => name).join(', ')}`
    : format.termsFault(terms)
}

function amountsFault({ openingBid, reserve, buyNow, increments }: AuctionTerms): string | undefined {
  for (const [name, amount] of Object.entries({ openingBid, reserve, buyNow }))
    if (amount !== undefined && !isAmount(amount))
      return `${name} must be an integer from 0 to 2^53-1 (minor units)`
  if (buyNow === 0) return 'buyNow must be at least 1 (minor units); leave it out where there is none'
  const fault = incrementTableFault(increments)
  return fault === undefined ? undefined : `increments must be a table: ${fault}`
}
