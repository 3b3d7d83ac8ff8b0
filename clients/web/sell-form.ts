/**
 * Reads the form for a new auction: typed text to terms, or faults.
 * Invariant: the terms are within the contract's ranges, so that the house refuses only what it alone can know. Pure:
 * the clock's time is an argument.
 */

import type { HttpRequestOf } from '../../protocol/http-bodies.ts'
import {
  durationMsMax,
  itemLengthMax,
  softCloseMsMax,
  tagLengthMax,
  tagsPerAuctionMax,
  titleLengthMax,
} from '../../protocol/limits.ts'
import { digitsOf } from '../../protocol/money.ts'
import { type LocalMoment, localMoment } from './local-moment.ts'
import { typedAmount } from './money-text.ts'

export type Terms = HttpRequestOf<'createAuction'>

export const durationUnits = { minutes: 60_000, hours: 3_600_000, days: 86_400_000 } as const
export type DurationUnit = keyof typeof durationUnits

/** As typed; amounts in units of the currency. */
export interface SellFields {
  readonly title: string
  readonly description: string
  /** Separated by commas. */
  readonly tags: string
  readonly currency: string
  readonly openingBid: string
  readonly duration: string
  readonly durationUnit: DurationUnit
  /** Local time as `datetime-local` gives it; empty: at once. */
  readonly opensAt: string
  /** Empty: none. */
  readonly reserve: string
  readonly buyNow: string
  readonly hasSoftClose: boolean
  /** Minutes. */
  readonly softCloseWindow: string
  readonly softCloseExtension: string
}

export const freshFields: SellFields = {
  title: '',
  description: '',
  tags: '',
  currency: 'EUR',
  openingBid: '',
  duration: '30',
  durationUnit: 'minutes',
  opensAt: '',
  reserve: '',
  buyNow: '',
  hasSoftClose: true,
  softCloseWindow: '2',
  softCloseExtension: '2',
}

export type SellFaults = { readonly [Field in keyof SellFields]?: string }

export type SellRead =
  | { readonly ok: true; readonly terms: Terms }
  | { readonly ok: false; readonly faults: SellFaults }

const daysMax = durationMsMax / durationUnits.days

/** Reads the whole form. `localTime` reads a `datetime-local` value in the reader's zone. */
export function readSellForm(
  fields: SellFields,
  nowMs: number,
  localTime: (text: string) => LocalMoment = localMoment,
): SellRead {
  const faults: { -readonly [Field in keyof SellFields]?: string } = {}
  const { currency } = fields

  const title = fields.title.trim()
  if (title === '') faults.title = 'Say what you are selling.'
  else if (title.length > titleLengthMax) faults.title = `At most ${titleLengthMax} characters.`

  const tags = tagsOf(fields.tags)
  if (tags.length > tagsPerAuctionMax) faults.tags = `At most ${tagsPerAuctionMax} tags.`
  else if (tags.some((tag) => tag.length > tagLengthMax))
    faults.tags = `A tag has at most ${tagLengthMax} characters.`

  const description = fields.description.trim()
  const item = description === '' ? {} : { item: { description } }
  if (JSON.stringify(item).length > itemLengthMax - 16) faults.description = 'The description is too long.'

  const amount = (field: 'openingBid' | 'reserve' | 'buyNow'): number | undefined => {
    const text = fields[field].trim()
    if (text === '') return undefined
    const read = typedAmount(text, currency)
    if (read.ok) return read.amount
    faults[field] = read.doubt ?? amountWords(currency)
    return undefined
  }
  const openingBid = amount('openingBid')
  if (fields.openingBid.trim() === '') faults.openingBid = 'At what amount do the bids begin?'
  const reserve = amount('reserve')
  if (reserve !== undefined && openingBid !== undefined && reserve < openingBid)
    faults.reserve = 'A reserve is at least the opening bid.'
  const buyNow = amount('buyNow')
  if (buyNow !== undefined && buyNow < Math.max(openingBid ?? 0, reserve ?? 0))
    faults.buyNow = 'Buy now is at least the opening bid and the reserve.'
  else if (buyNow === 0) faults.buyNow = 'Nobody pays nothing: leave it empty instead.'

  const durationMs = spanMs(fields.duration, durationUnits[fields.durationUnit])
  if (durationMs === undefined) faults.duration = 'A whole number, at least 1.'
  else if (durationMs > durationMsMax) faults.duration = `At most ${daysMax} days.`

  const opening = fields.opensAt === '' ? undefined : localTime(fields.opensAt)
  const opensAt = opening?.ok === true ? opening.atMs : undefined
  if (opening?.ok === false) faults.opensAt = opening.fault
  else if (opensAt !== undefined && opensAt <= nowMs) faults.opensAt = 'That is in the past.'

  const windowMs = softCloseSpan('softCloseWindow')
  const extensionMs = softCloseSpan('softCloseExtension')
  function softCloseSpan(field: 'softCloseWindow' | 'softCloseExtension'): number | undefined {
    if (!fields.hasSoftClose) return undefined
    const ms = spanMs(fields[field], durationUnits.minutes)
    if (ms === undefined) faults[field] = 'Whole minutes, at least 1.'
    else if (ms > softCloseMsMax) faults[field] = 'At most a day.'
    return ms
  }

  if (Object.keys(faults).length > 0 || openingBid === undefined || durationMs === undefined)
    return { ok: false, faults }
  return {
    ok: true,
    terms: {
      title,
      tags,
      currency,
      openingBid,
      durationMs,
      ...item,
      ...(opensAt === undefined ? {} : { opensAt }),
      ...(reserve === undefined ? {} : { reserve }),
      ...(buyNow === undefined ? {} : { buyNow }),
      ...(windowMs === undefined || extensionMs === undefined
        ? {}
        : { softClose: { windowMs, extensionMs } }),
    },
  }
}

/** `Clocks, brass ,,clocks` → `['clocks', 'brass']`. */
export function tagsOf(text: string): string[] {
  const tags = text.split(',').map((tag) => tag.trim().toLowerCase())
  return [...new Set(tags.filter((tag) => tag !== ''))]
}

function amountWords(currency: string): string {
  const digits = digitsOf(currency)
  return digits === 0
    ? `A whole amount in ${currency}.`
    : `An amount in ${currency} with at most ${digits} digits after the point.`
}

function spanMs(text: string, unitMs: number): number | undefined {
  return /^\d{1,7}$/.test(text.trim()) && Number(text) >= 1 ? Number(text) * unitMs : undefined
}
