/** The catalogues of codes against each other, against the machine's, and against docs/codes.md. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { rejectionCodes } from '../state-cluster/machine/events.ts'
import { closeCodes, meaningOfClose } from './close-codes.ts'
import { frameErrors } from './frame-errors.ts'
import { notificationKinds } from './notifications.ts'
import { problem, problems } from './problems.ts'
import { isRejectionCode, rejections, statusOfRejection } from './rejection-codes.ts'

const page = readFileSync(new URL('../docs/codes.md', import.meta.url), 'utf8')

/** Rows of the table below a heading of docs/codes.md, as lists of cells. */
function tableOf(heading: string): readonly (readonly string[])[] {
  const section = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
  return section
    .split('\n')
    .filter((row) => row.startsWith('| ') && !row.startsWith('| code') && !row.startsWith('| ---'))
    .map((row) =>
      row
        .slice(2, -2)
        .split(' | ')
        .map((cell) => cell.trim().replaceAll('`', '')),
    )
}

describe('WIRE13 codes', () => {
  it('rejections are exactly those of the machine', () => {
    expect(Object.keys(rejections).sort()).toEqual(Object.keys(rejectionCodes).sort())
  })

  it('every rejection is a problem with the same status and words', () => {
    for (const [code, meaning] of Object.entries(rejections)) {
      expect(isRejectionCode(code)).toBe(true)
      expect(problems[code as keyof typeof rejections]).toBe(meaning)
    }
    expect(isRejectionCode('toString')).toBe(false)
  })

  it('a bid below the asking bid lost (409), below the opening bid broke a rule (422)', () => {
    expect(statusOfRejection('bid_too_low', 3)).toBe(409)
    expect(statusOfRejection('bid_too_low', 0)).toBe(422)
    expect(statusOfRejection('auction_closed', 0)).toBe(423)
  })

  it('a problem carries its code, status, title and facts', () => {
    expect(problem('bid_too_low', { status: 422, askingBid: 1200 })).toEqual({
      type: '/problems/bid_too_low',
      title: 'The bid is below the asking bid',
      status: 422,
      code: 'bid_too_low',
      askingBid: 1200,
    })
  })

  it('close codes of the house have their own meaning; others mean a lost connection', () => {
    expect(meaningOfClose(4401)).toMatchObject({ reason: 'token', retry: 'never' })
    expect(meaningOfClose(1006)).toMatchObject({ reason: 'connection_lost', retry: 'soon' })
  })
})

describe('WIRE13 docs/codes.md', () => {
  it('lists every problem with its status and words, and no other', () => {
    const rows = Object.entries(problems).map(([code, { status, title }]) => [code, String(status), title])
    expect(tableOf('Problems and rejections')).toEqual(rows)
  })

  it('lists every error of a frame, and no other', () => {
    const rows = Object.entries(frameErrors).map(([code, { retry, title }]) => [
      code,
      retry ? 'yes' : 'no',
      title,
    ])
    expect(tableOf('Errors of a frame')).toEqual(rows)
  })

  it('lists every close code, and no other', () => {
    const rows = Object.entries(closeCodes).map(([code, { reason, retry, title }]) => [
      code,
      reason,
      retry,
      title,
    ])
    expect(tableOf('Close codes')).toEqual(rows)
  })

  it('lists every kind of notification, and no other', () => {
    expect(tableOf('Notifications')).toEqual(Object.entries(notificationKinds))
  })
})
