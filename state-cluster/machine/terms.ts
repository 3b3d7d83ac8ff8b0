/**
 * Checks a seller's terms: the range of each, and whether they agree.
 *
 * The edge checks shapes and gives better messages. Leaves what only a format can judge to its `accepts`.
 *
 * Invariant: terms that pass never lead to a broken invariant later.
 * Source: docs/spec.md AUCTION1, BUYER3.
 */
import { incrementTableFault, isAmount } from '../../protocol/money.ts'
import type { AuctionTerms, SoftClose } from './commands.ts'
import { formatOf } from './formats/registry.ts'
import type { Limits } from './limits.ts'

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

/** Whether an auction can be held on these terms. */
export function areTermsValid(terms: AuctionTerms, limits: Limits): boolean {
  const { opensAtMs, reserve, buyNow, softClose, item } = terms
  if (terms.title.length === 0 || terms.title.length > limits.titleLengthMax) return false
  if (!/^[A-Z]{3}$/.test(terms.currency)) return false
  if (!areTags(terms.tags, limits.tagsPerAuctionMax, limits)) return false
  if (item !== undefined && item.length > limits.itemLengthMax) return false
  if (!isAmount(terms.openingBid)) return false
  if (reserve !== undefined && !isAmount(reserve)) return false
  if (buyNow !== undefined && (!isAmount(buyNow) || buyNow === 0)) return false
  if (incrementTableFault(terms.increments) !== undefined) return false
  if (!isWithin(terms.durationMs, 1, limits.durationMsMax)) return false
  if (opensAtMs !== undefined && !isWithin(opensAtMs, 0, limits.opensAtMsMax)) return false
  if (softClose !== undefined && !isSoftClose(softClose, limits)) return false
  return formatOf(terms.format)?.accepts(terms) === true
}
