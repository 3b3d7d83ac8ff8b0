/**
 * What every view gets: session, HTTP, identity, time, and messages to the reader.
 * Invariant: a new identity means a new session; the views of the old one are removed before.
 */
import { ClientError, HouseHttp, ProblemError, Session } from '../core/index.ts'
import { browserClock, browserFetch, browserRandom, browserTransport, newId } from './browser.ts'
import { type Identity, identityStore } from './identity.ts'
import { Ticker } from './ticker.ts'
import { sentenceOf } from './words.ts'

export type Tone = 'good' | 'bad' | 'plain'

export interface App {
  readonly session: Session
  readonly http: HouseHttp
  readonly identity: Identity | undefined
  readonly ticker: Ticker
  /** Signs in with a token; `false` where it is none. Rebuilds the page. */
  signIn(token: string, name?: string): boolean
  signOut(): void
  /** A line that appears for a few seconds and is read out. */
  say(text: string, tone: Tone): void
  go(hash: string): void
}

/** A view that is on the page; `leave` ends its watches and timers. */
export interface View {
  readonly element: HTMLElement
  readonly title: string
  leave(): void
}

export const identities = identityStore(localStorage, () => Date.now())

/** The parts of an `App` that belong to one identity. */
export function connect(identity: Identity | undefined) {
  const url = location.origin
  const token = () => identity?.token
  const ports = { clock: browserClock, random: browserRandom, newId }
  const session = new Session({ url, token, transport: browserTransport, ...ports })
  const http = new HouseHttp({ url, token, fetch: browserFetch, ...ports })
  const ticker = new Ticker(
    browserClock,
    () => session.serverNowMs(),
    () => document.hidden,
  )
  return { session, http, ticker, identity }
}

/** What went wrong, as a sentence for the reader. */
export function sentenceFor(error: unknown): string {
  if (error instanceof ProblemError) {
    const { code, detail } = error.problem
    const isInForm = code === 'field_invalid' || code === 'terms_invalid'
    return isInForm && detail !== undefined ? `The house says: ${detail}.` : sentenceOf(code)
  }
  if (error instanceof ClientError) {
    if (error.code === 'unreachable') return 'The house cannot be reached. Check your connection.'
    if (error.code === 'outcome_unknown') return sentenceOf('outcome_unknown')
    if (error.code === 'frame_refused' && error.frameCode !== undefined) return sentenceOf(error.frameCode)
    return 'The house did not answer as expected. Reload the page.'
  }
  throw error
}
