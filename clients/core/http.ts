/**
 * The house over HTTP, typed.
 * Invariant: a POST that makes something carries one Idempotency-Key through all its retries, so it counts once. A
 * refusal is a `ProblemError`; a call without an answer is a `ClientError`. Calls that the house wants repeated (429,
 * 503 with Retry-After) are repeated a few times. Source: docs/protocol.md, "HTTP".
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import type {
  AuctionsBody,
  AuctionsQuery,
  BidsBody,
  BuyerRegisteredBody,
  HouseBody,
  HttpRequestOf,
  TokenIssuedBody,
  TokensRevokedBody,
} from '../../protocol/http-bodies.ts'
import type { AuctionId, RequestId } from '../../protocol/ids.ts'
import { readJson } from '../../protocol/json.ts'
import { answerDepthMax } from '../../protocol/limits.ts'
import type { Problem } from '../../protocol/problems.ts'
import type { ServerFrameOf } from '../../protocol/server-frames.ts'
import { Backoff, defaultBackoff } from './backoff.ts'
import { ClientError, ProblemError } from './errors.ts'
import type { Clock, Fetch, HttpRequest, HttpResponse, NewId, Random } from './ports.ts'

export interface HouseHttpOptions {
  /** As `http://127.0.0.1:8080`. */
  readonly url: string
  readonly token?: () => string | undefined
  readonly fetch: Fetch
  readonly clock: Clock
  readonly random: Random
  readonly newId: NewId
  /** How often a call is repeated when the house asks for it. Default 5. */
  readonly repeatsMax?: number
  /** How often a call is repeated when no answer came, as while a house restarts. Default 0. */
  readonly unreachableRepeatsMax?: number
}

/** What a manager of an auction can do to it, by its path. */
export type AuctionAction = 'close' | 'cancel' | 'pause' | 'resume'

/** The state in which a request is meant. */
export type ExpectedState = NonNullable<HttpRequestOf<'manageAuction'>['expect']>

/** The answer of POST /bids: a bid reply without `replyTo`. */
export type BidPlacedBody = Omit<ServerFrameOf<'bid_accepted'>, 'replyTo'>

const repeatsMaxDefault = 5
const retryAfterMsDefault = 500
const retryAfterMsMax = 10_000

function queryText(query: Readonly<Record<string, string | number | undefined>>): string {
  const parts = Object.entries(query)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`)
  return parts.length === 0 ? '' : `?${parts.join('&')}`
}

function isProblem(value: unknown): value is Problem {
  const candidate = value as Partial<Problem> | null
  return typeof candidate?.code === 'string' && typeof candidate.title === 'string'
}

interface Heard {
  readonly response: HttpResponse
  readonly text: string
}

export class HouseHttp {
  readonly #options: HouseHttpOptions
  readonly #base: string

  constructor(options: HouseHttpOptions) {
    this.#options = options
    this.#base = options.url.replace(/\/+$/, '')
  }

  registerBuyer(buyer: HttpRequestOf<'registerBuyer'>, key?: RequestId): Promise<BuyerRegisteredBody> {
    return this.#make('/buyers', buyer, key)
  }

  createAuction(terms: HttpRequestOf<'createAuction'>, key?: RequestId): Promise<AuctionView> {
    return this.#make('/auctions', terms, key)
  }

  placeBid(bid: HttpRequestOf<'placeBid'>, key?: RequestId): Promise<BidPlacedBody> {
    return this.#make('/bids', bid, key)
  }

  issueToken(wanted: HttpRequestOf<'issueToken'>): Promise<TokenIssuedBody> {
    return this.#make('/tokens', wanted)
  }

  /** A new token like the one of this client, before that expires. */
  renewToken(): Promise<TokenIssuedBody> {
    return this.#make('/tokens/renew', {})
  }

  revokeTokens(wanted: HttpRequestOf<'revokeTokens'>): Promise<TokensRevokedBody> {
    return this.#make('/tokens/revoke', wanted)
  }

  house(): Promise<HouseBody> {
    return this.#call('GET', '/house')
  }

  configureHouse(wanted: HttpRequestOf<'configureHouse'>): Promise<HouseBody> {
    return this.#make('/house', wanted)
  }

  shiftClock(wanted: HttpRequestOf<'shiftClock'>): Promise<HouseBody> {
    return this.#make('/house/clock', wanted)
  }

  auctions(query: AuctionsQuery = {}): Promise<AuctionsBody> {
    return this.#call('GET', `/auctions${queryText({ ...query })}`)
  }

  auction(auctionId: AuctionId): Promise<AuctionView> {
    return this.#call('GET', `/auctions/${encodeURIComponent(auctionId)}`)
  }

  /** Public history after `seq`. */
  bids(
    auctionId: AuctionId,
    query: { readonly after?: number; readonly limit?: number } = {},
  ): Promise<BidsBody> {
    return this.#call('GET', `/auctions/${encodeURIComponent(auctionId)}/bids${queryText({ ...query })}`)
  }

  /** Acts in the state that `expect` names; in another one the house refuses (`state_changed`). */
  manage(
    auctionId: AuctionId,
    action: AuctionAction,
    expect?: ExpectedState,
    key?: RequestId,
  ): Promise<AuctionView> {
    const body: HttpRequestOf<'manageAuction'> = expect === undefined ? {} : { expect }
    return this.#make(`/auctions/${encodeURIComponent(auctionId)}/${action}`, body, key)
  }

  /** Gives more time to a deadline that `expect` names, so that it is given once. */
  extend(auctionId: AuctionId, byMs: number, expect?: ExpectedState, key?: RequestId): Promise<AuctionView> {
    const body: HttpRequestOf<'extendAuction'> = expect === undefined ? { byMs } : { byMs, expect }
    return this.#make(`/auctions/${encodeURIComponent(auctionId)}/extend`, body, key)
  }

  #make<Answer>(path: string, body: unknown, key = this.#options.newId() as RequestId): Promise<Answer> {
    return this.#call('POST', path, { body: JSON.stringify(body), key })
  }

  async #call<Answer>(
    method: string,
    path: string,
    content?: { readonly body: string; readonly key: RequestId },
  ): Promise<Answer> {
    const { repeatsMax = repeatsMaxDefault } = this.#options
    const token = this.#options.token?.()
    const headers: Record<string, string> = { accept: 'application/json' }
    if (token !== undefined) headers['authorization'] = `Bearer ${token}`
    if (content !== undefined) {
      headers['content-type'] = 'application/json'
      headers['idempotency-key'] = content.key
    }
    const first = { method, headers, ...(content === undefined ? {} : { body: content.body }) }
    const request = this.#aging(first, content !== undefined)
    for (let repeats = 0; ; repeats += 1) {
      const { response, text } = await this.#reach(path, request)
      if (response.status >= 200 && response.status < 300) return answerOf<Answer>(response, text)
      const isRepeatable = response.status === 429 || response.status === 503
      if (!isRepeatable || repeats >= repeatsMax) throw failureOf(response, text)
      await this.#pause(response.headers.get('retry-after'))
    }
  }

  /** The request of each attempt: those after the first say how long ago that was. */
  #aging(first: HttpRequest, hasKey: boolean): () => HttpRequest {
    const { clock } = this.#options
    const sentMs = clock.monotonicMs()
    let isFirst = true
    return () => {
      if (isFirst || !hasKey) {
        isFirst = false
        return first
      }
      const ageMs = Math.max(1, Math.ceil(clock.monotonicMs() - sentMs))
      return { ...first, headers: { ...first.headers, 'idempotency-age': String(ageMs) } }
    }
  }

  async #reach(path: string, request: () => HttpRequest): Promise<Heard> {
    const backoff = new Backoff(defaultBackoff, this.#options.random)
    for (let left = this.#options.unreachableRepeatsMax ?? 0; left > 0; left -= 1) {
      try {
        return await this.#ask(path, request())
      } catch {
        await this.#wait(backoff.next())
      }
    }
    return await this.#ask(path, request())
  }

  async #ask(path: string, request: HttpRequest): Promise<Heard> {
    try {
      const response = await this.#options.fetch(this.#base + path, request)
      return { response, text: await response.text() }
    } catch (cause) {
      throw new ClientError('unreachable', `no answer from ${this.#base}`, { cause })
    }
  }

  #pause(retryAfter: string | null): Promise<void> {
    const asked = retryAfter === null ? Number.NaN : Number(retryAfter) * 1000
    const ms = Number.isFinite(asked) ? Math.min(retryAfterMsMax, Math.max(0, asked)) : retryAfterMsDefault
    return this.#wait(Math.round(ms * (1 + this.#options.random() / 4)))
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.clock.setTimer(ms, resolve)
    })
  }
}

function answerOf<Answer>(response: HttpResponse, text: string): Answer {
  const read = readJson(text, answerDepthMax)
  if (!read.ok || typeof read.value !== 'object' || read.value === null)
    throw new ClientError('unexpected_answer', `status ${response.status} without a JSON object`)
  return read.value as Answer
}

function failureOf(response: HttpResponse, text: string): ProblemError | ClientError {
  const read = readJson(text, answerDepthMax)
  if (read.ok && isProblem(read.value)) return new ProblemError(read.value)
  return new ClientError(
    'unexpected_answer',
    `status ${response.status} without a problem that could be read`,
  )
}
