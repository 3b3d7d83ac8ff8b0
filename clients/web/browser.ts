/**
 * The browser as the client core's ports: sockets, clock, randomness, HTTP.
 * Invariant: no other file of the page reads these; ids have 128 random bits.
 */
import { type Clock, type Fetch, type NewId, type Random, webSocketTransport } from '../core/index.ts'

export const browserClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, fire) {
    const timer = window.setTimeout(fire, delayMs)
    return () => window.clearTimeout(timer)
  },
}

export const browserRandom: Random = () => Math.random()

export const newId: NewId = () => {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

export const browserFetch: Fetch = (url, request) => fetch(url, { ...request, credentials: 'omit' })

export const browserTransport = webSocketTransport(WebSocket, browserClock)
