/**
 * The time left until a moment, as text that grows finer near the end.
 * Invariant: the text never shows more time than is left; a second is shown until it has passed entirely.
 */

export type Urgency = 'calm' | 'soon' | 'now' | 'over'

export interface Countdown {
  /** As `2 d 4 h`, `3:07:09`, `4:31`, `9.4 s`; empty once over. */
  readonly text: string
  /** The same in words, for screen readers: `2 days 4 hours`. */
  readonly words: string
  readonly urgency: Urgency
  /** In how many ms the text changes. */
  readonly nextChangeMs: number
}

const secondMs = 1_000
const minuteMs = 60 * secondMs
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** Below this the tenths of a second are shown. */
const tenthsBelowMs = 10 * secondMs
export const soonBelowMs = 5 * minuteMs
export const nowBelowMs = 30 * secondMs

export function countdown(leftMs: number): Countdown {
  if (leftMs <= 0) return { text: '', words: 'closing', urgency: 'over', nextChangeMs: hourMs }
  const urgency = leftMs <= nowBelowMs ? 'now' : leftMs <= soonBelowMs ? 'soon' : 'calm'
  if (leftMs < tenthsBelowMs) {
    const tenths = Math.floor(leftMs / 100)
    return {
      text: `${Math.floor(tenths / 10)}.${tenths % 10} s`,
      words: count(Math.ceil(leftMs / secondMs), 'second'),
      urgency,
      nextChangeMs: Math.min(leftMs, (leftMs % 100) + 1),
    }
  }
  const days = Math.floor(leftMs / dayMs)
  const hours = Math.floor(leftMs / hourMs) % 24
  const minutes = Math.floor(leftMs / minuteMs) % 60
  const seconds = Math.floor(leftMs / secondMs) % 60
  if (days > 0)
    return {
      text: hours === 0 ? `${days} d` : `${days} d ${hours} h`,
      words: hours === 0 ? count(days, 'day') : `${count(days, 'day')} ${count(hours, 'hour')}`,
      urgency,
      nextChangeMs: (leftMs % hourMs) + 1,
    }
  const nextChangeMs = (leftMs % secondMs) + 1
  if (hours > 0)
    return {
      text: `${hours}:${two(minutes)}:${two(seconds)}`,
      words: `${count(hours, 'hour')} ${count(minutes, 'minute')}`,
      urgency,
      nextChangeMs,
    }
  return {
    text: `${minutes}:${two(seconds)}`,
    words: minutes > 0 ? count(minutes, 'minute') : count(seconds, 'second'),
    urgency,
    nextChangeMs,
  }
}

/** How long ago something was, in a word or two: `now`, `12 s`, `5 min`, `3 h`, `2 d`. */
export function ago(passedMs: number): string {
  if (passedMs < 2 * secondMs) return 'now'
  if (passedMs < minuteMs) return `${Math.floor(passedMs / secondMs)} s`
  if (passedMs < hourMs) return `${Math.floor(passedMs / minuteMs)} min`
  if (passedMs < dayMs) return `${Math.floor(passedMs / hourMs)} h`
  return `${Math.floor(passedMs / dayMs)} d`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

function count(value: number, noun: string): string {
  return `${value} ${noun}${value === 1 ? '' : 's'}`
}
