/**
 * Answers HTTP requests: route, body, token, role, rate, handler.
 *
 * The routes are in `routes.ts`. Invariant: every request gets the answer of its route or page, or a problem with a
 * stable code; a body is read to its bound and no further. Source: docs/protocol.md, "HTTP"; RFC 9110; docs/spec.md
 * HTTP.
 */
import { type HttpBodyName, type HttpBodyOf, readHttpBody } from '../../protocol/http-bodies.ts'
import type { RequestId } from '../../protocol/ids.ts'
import { bodyBytesMax, discardedBytesMax } from '../../protocol/limits.ts'
import type { ProblemCode } from '../../protocol/problems.ts'
import type { Role } from '../../protocol/server-frames.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { Admission } from '../access/admission.ts'
import { bearerToken, hasRole, type Identity, type TokenCheck, type Tokens } from '../access/auth.ts'
import type { Holder } from '../access/budget.ts'
import type { BodyRead, HttpAnswer, HttpExchange, HttpRequest } from '../carrier/socket.ts'
import type { ServerConfig } from '../config.ts'
import { newRequestId, requestIdOf } from '../derived-ids.ts'
import type { ServerMetrics } from '../metrics.ts'
import { Tally } from '../tally.ts'
import { clusterFault, problemAnswer, rateAnswer } from './answers.ts'

/** The arguments of a route's handler. */
export interface Call {
  readonly request: HttpRequest
  /** Values of the `:name` parts of the path, decoded. */
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly identity: Identity | undefined
  /** The client's address, by the trusted proxies. */
  readonly address: string
  /** The same for a retry with the same `Idempotency-Key`. */
  readonly requestId: RequestId
  /** Of a retry: how long ago the first one was sent (`Idempotency-Age`). */
  readonly ageMs?: number
}

type Outcome = HttpAnswer | Promise<HttpAnswer>

export interface Route {
  readonly method: 'GET' | 'POST'
  /** As `/auctions/:id/bids`. */
  readonly path: string
  /** The request needs one of these roles. Absent: anyone. */
  readonly allow?: readonly Role[]
  /** Whether a body is read (as JSON) before the handler is called. */
  readonly takesBody: boolean
  /** Not rate limited: a health probe. */
  readonly isProbe?: boolean
  handle(call: Call, body: string): Outcome
}

/** A route that reads nothing. */
export function get(path: string, handle: (call: Call) => Outcome, isProbe = false): Route {
  return { method: 'GET', path, takesBody: false, isProbe, handle }
}

/** A route with a body of the contract, which is checked before the handler gets it. */
export function post<Name extends HttpBodyName>(
  path: string,
  name: Name,
  allow: readonly Role[] | undefined,
  handle: (call: Call, body: HttpBodyOf<Name>) => Outcome,
): Route {
  return {
    method: 'POST',
    path,
    ...(allow === undefined ? {} : { allow }),
    takesBody: true,
    handle(call, text) {
      const read = readHttpBody(name, text)
      return read.ok ? handle(call, read.body) : problemAnswer(read.code, { detail: read.message })
    },
  }
}

export interface HttpContext {
  readonly config: ServerConfig
  readonly clock: Clock
  readonly tokens: Tokens
  readonly admission: Admission
  readonly metrics: ServerMetrics
  readonly routes: readonly Route[]
  /** A page of the web client, or `undefined` when there is none at this path. */
  readonly page: (request: HttpRequest) => HttpAnswer | undefined
}

type Token = TokenCheck | Promise<TokenCheck> | undefined

/** Who asks, and what it sends, as far as that is known. */
interface Asker {
  readonly token: Token
  readonly holder: Holder
  /** A body that is being read already. */
  readonly body: Promise<BodyRead> | undefined
}

interface Match {
  readonly route: Route
  readonly params: Readonly<Record<string, string>>
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * JSON by name, no type at all, or the defaults of curl, fetch and Python's urllib. Accepting these is safe from
 * forged requests of other pages: there are no cookies, and every request that acts for a subject needs a token.
 */
const mayBeJson = /^(application\/([\w.+-]+\+)?json|text\/plain|application\/x-www-form-urlencoded)? *(;|$)/i

export class Http {
  readonly #context: HttpContext
  readonly #routes: readonly { readonly route: Route; readonly parts: readonly string[] }[]
  readonly #pending: Tally
  /** While the server drains, each connection is closed after its answer. */
  isDraining = false

  constructor(context: HttpContext) {
    this.#context = context
    this.#pending = new Tally(context.clock)
    this.#routes = context.routes.map((route) => ({ route, parts: route.path.split('/').slice(1) }))
  }

  /** Answers one request. Rejects only with an unexpected error of a handler. */
  answer(exchange: HttpExchange): HttpAnswer | Promise<HttpAnswer> {
    const { clock } = this.#context
    const sinceMs = clock.monotonicMs()
    const outcome = this.#answer(exchange)
    if (!(outcome instanceof Promise)) return this.#finish(exchange.request, outcome, sinceMs)
    this.#pending.add()
    return outcome
      .then((answer) => this.#finish(exchange.request, answer, sinceMs))
      .finally(() => {
        this.#pending.remove()
      })
  }

  /** Resolves when every request has its answer, or after `ms`. */
  untilIdle(ms: number): Promise<void> {
    return this.#pending.untilZero(ms)
  }

  #answer(exchange: HttpExchange): HttpAnswer | Promise<HttpAnswer> {
    const { request } = exchange
    if (request.method === 'OPTIONS') return this.#preflight(request)
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const matches = this.#match(request.path)
    const match = matches.find(({ route }) => route.method === method)
    if (match === undefined) {
      if (matches.length > 0) {
        const allowed = allowedMethods(matches)
        return { ...problemAnswer('method_not_allowed', {}, { Allow: allowed }), isLast: hasBody(request) }
      }
      const page = method === 'GET' ? this.#context.page(request) : undefined
      return page ?? { ...problemAnswer('not_found'), isLast: hasBody(request) }
    }
    if (match.route.isProbe === true) return this.#identify(request, match, '', this.#tokenOf(request))
    return this.#inSlot(exchange, match)
  }

  /**
   * Answers within a slot of the asker: its address, or its subject where the token is known. Tokens of the house are
   * verified before a slot is taken, so that what others hold never refuses an operator.
   */
  #inSlot(exchange: HttpExchange, match: Match): Outcome {
    const { request } = exchange
    const { tokens, config } = this.#context
    if (match.route.takesBody && isDeclaredTooLarge(request)) return tooLarge
    const token = this.#tokenOf(request)
    if (
      !(token instanceof Promise) ||
      tokens.asksAuthority(bearerToken(request.header('authorization')) ?? '')
    )
      return this.#holdingSlot(exchange, match, token)
    // The body must be read from now on, or it is lost.
    const body = match.route.takesBody ? exchange.readBody(bodyBytesMax, config.bodyTimeoutMs) : undefined
    return token.then((check) => this.#holdingSlot(exchange, match, check, body))
  }

  #holdingSlot(exchange: HttpExchange, match: Match, token: Token, body?: Promise<BodyRead>): Outcome {
    const { request } = exchange
    const { admission } = this.#context
    const identity = token instanceof Promise || token?.ok !== true ? undefined : token.identity
    const holder = admission.holder(identity, admission.addressOf(request))
    if (!admission.slots.hold(holder)) return overloaded(request)
    const release = (): void => admission.slots.release(holder)
    let outcome: Outcome
    try {
      outcome = match.route.takesBody
        ? this.#withBody(exchange, match, { token, holder, body })
        : this.#identify(request, match, '', token)
    } catch (error) {
      release()
      throw error
    }
    if (outcome instanceof Promise) return outcome.finally(release)
    release()
    return outcome
  }

  /** Reads the body within the budget of its holder, for as long as it takes. */
  #withBody(exchange: HttpExchange, match: Match, { token, holder, body }: Asker): Outcome {
    const { request } = exchange
    const { admission, clock, config } = this.#context
    const declaredBytes = lengthOf(request)
    if (declaredBytes === undefined) return { ...problemAnswer('request_malformed'), isLast: true }
    const isChunked = request.header('transfer-encoding') !== ''
    const keptBytes = isChunked ? bodyBytesMax : Math.min(declaredBytes, bodyBytesMax)
    const waitMs = admission.received(holder, isChunked ? bodyBytesMax : declaredBytes, clock.monotonicMs())
    if (waitMs > 0) return { ...rateAnswer(waitMs), isLast: true }
    if (!admission.heldBytes.hold(holder, keptBytes)) return overloaded(request)
    return this.#readBody(
      exchange,
      match,
      token,
      body ?? exchange.readBody(bodyBytesMax, config.bodyTimeoutMs),
    ).finally(() => admission.heldBytes.release(holder, keptBytes))
  }

  async #readBody(
    { request }: HttpExchange,
    match: Match,
    token: Token,
    body: Promise<BodyRead>,
  ): Promise<HttpAnswer> {
    const read = await body
    if (!read.ok) {
      if (read.why === 'too_large') return tooLarge
      return { ...problemAnswer('request_timeout'), isLast: true }
    }
    const contentType = request.header('content-type')
    if (read.bytes.length > 0 && !mayBeJson.test(contentType)) return problemAnswer('unsupported_media_type')
    let text: string
    try {
      text = utf8.decode(read.bytes)
    } catch {
      return problemAnswer('malformed_json', { detail: 'the body is not UTF-8' })
    }
    return this.#identify(request, match, text, token)
  }

  /** What the token says; `undefined`: none came. */
  #tokenOf(request: HttpRequest): Token {
    const authorization = request.header('authorization')
    if (authorization === '') return undefined
    const token = bearerToken(authorization)
    if (token === undefined)
      return { ok: false, retry: false, message: 'Authorization must be Bearer and a token' }
    return this.#context.tokens.verify(token)
  }

  #identify(request: HttpRequest, match: Match, body: string, token: Token): Outcome {
    if (token === undefined) return this.#admit(request, match, body, undefined)
    if (token instanceof Promise) return token.then((later) => this.#checked(request, match, body, later))
    return this.#checked(request, match, body, token)
  }

  #checked(request: HttpRequest, match: Match, body: string, check: TokenCheck): Outcome {
    if (check.ok) return this.#admit(request, match, body, check.identity)
    const { clock, admission } = this.#context
    const waitMs = admission.request(undefined, admission.addressOf(request), clock.monotonicMs())
    if (waitMs > 0) return rateAnswer(waitMs)
    return problemAnswer(check.retry ? 'unavailable' : 'token_invalid', { detail: check.message })
  }

  #admit(request: HttpRequest, match: Match, body: string, identity: Identity | undefined): Outcome {
    const { route, params } = match
    const { clock, admission, metrics } = this.#context
    const address = admission.addressOf(request)
    if (route.isProbe !== true) {
      const waitMs = admission.request(identity, address, clock.monotonicMs())
      if (waitMs > 0) {
        metrics.rateLimited.add(1, { what: 'request' })
        return rateAnswer(waitMs)
      }
    }
    if (route.allow !== undefined && !route.allow.some((role) => hasRole(identity, role)))
      return refusedRole(route.allow, identity)
    const key = request.header('idempotency-key')
    const requestId = key === '' ? newRequestId() : requestIdOf(key)
    if (requestId === undefined)
      return problemAnswer('field_invalid', { detail: 'Idempotency-Key has up to 255 visible characters' })
    const ageMs = ageOf(request.header('idempotency-age'))
    if (ageMs === undefined)
      return problemAnswer('field_invalid', { detail: 'Idempotency-Age is an integer of milliseconds' })
    const query = new URLSearchParams(request.query)
    const call = { request, params, query, identity, address, requestId }
    try {
      const outcome = route.handle(ageMs === 0 ? call : { ...call, ageMs }, body)
      return outcome instanceof Promise ? outcome.catch(faultAnswer) : outcome
    } catch (error) {
      return faultAnswer(error)
    }
  }

  #match(path: string): readonly Match[] {
    const given = path.split('/').slice(1)
    if (given.length > 1 && given.at(-1) === '') given.pop()
    const matches: Match[] = []
    for (const { route, parts } of this.#routes) {
      const params = paramsOf(parts, given)
      if (params !== undefined) matches.push({ route, params })
    }
    return matches
  }

  #preflight(request: HttpRequest): HttpAnswer {
    const matches = this.#match(request.path)
    const allowed = matches.length > 0 ? allowedMethods(matches) : 'GET, HEAD, OPTIONS'
    const isPreflight = request.header('access-control-request-method') !== ''
    const headers: Record<string, string> = { Allow: allowed }
    if (isPreflight) {
      headers['Access-Control-Allow-Methods'] = allowed
      headers['Access-Control-Allow-Headers'] = allowedHeaders(
        request.header('access-control-request-headers'),
      )
      headers['Access-Control-Max-Age'] = '86400'
    }
    return { status: 204, headers, body: '' }
  }

  /** Completes every answer: counts it, adds the CORS headers, and closes the connection during a drain. */
  #finish(request: HttpRequest, answer: HttpAnswer, sinceMs: number): HttpAnswer {
    const { config, metrics, clock } = this.#context
    metrics.requests.add(1, { status: `${Math.floor(answer.status / 100)}xx` })
    metrics.requestSeconds.observe((clock.monotonicMs() - sinceMs) / 1000)
    const isLast = answer.isLast === true || this.isDraining
    const origin = request.header('origin')
    const isForAll = config.corsOrigins.includes('*')
    if (origin === '' || !(isForAll || config.corsOrigins.includes(origin))) return { ...answer, isLast }
    const headers = {
      ...answer.headers,
      'Access-Control-Allow-Origin': isForAll ? '*' : origin,
      'Access-Control-Expose-Headers': 'Location, Retry-After',
      ...(isForAll ? {} : { Vary: 'Origin' }),
    }
    return { ...answer, headers, isLast }
  }
}

const tooLarge: HttpAnswer = {
  ...problemAnswer('body_too_large', { detail: `a body has at most ${bodyBytesMax} bytes` }),
  isLast: true,
}

function overloaded(request: HttpRequest): HttpAnswer {
  return { ...problemAnswer('overloaded'), isLast: hasBody(request) }
}

function refusedRole(allow: readonly Role[], identity: Identity | undefined): HttpAnswer {
  if (identity === undefined) return problemAnswer('token_missing')
  const isForBidders = allow.length === 1 && allow[0] === 'bidder'
  const code: ProblemCode = isForBidders ? 'not_a_bidder' : 'role_missing'
  return problemAnswer(code, { detail: `this needs the role ${allow.join(' or ')}` })
}

/** Turns a failure of the cluster link into an answer, and throws any other error again. */
function faultAnswer(error: unknown): HttpAnswer {
  const fault = clusterFault(error)
  if (fault === undefined) throw error
  return problemAnswer(fault)
}

/** The declared length of the body, 0 without one; `undefined` where it is no length, or two. */
function lengthOf(request: HttpRequest): number | undefined {
  const header = request.header('content-length')
  if (header === '') return 0
  const [first = '', ...others] = header.split(',').map((text) => text.trim())
  const length = /^\d{1,15}$/.test(first) ? Number(first) : undefined
  return others.every((other) => other === first) ? length : undefined
}

/** More than is read away so that the sender gets to read the answer. */
function isDeclaredTooLarge(request: HttpRequest): boolean {
  // A client that expects "100 Continue" (curl) has not sent the body yet, so nothing needs to be read away.
  const isWaiting = request.header('expect') !== ''
  return (lengthOf(request) ?? 0) > (isWaiting ? bodyBytesMax : discardedBytesMax)
}

function hasBody(request: HttpRequest): boolean {
  return request.header('transfer-encoding') !== '' || lengthOf(request) !== 0
}

const ownHeaders = ['Authorization', 'Content-Type', 'Idempotency-Key', 'Idempotency-Age']
const headerName = /^[\w!#$%&'*+.^`|~-]{1,64}$/
const headerNamesMax = 64

/**
 * The headers that a page may send: ours, and all that it asks for. Tracing libraries add headers of their own, and
 * without cookies there is nothing that a header could abuse.
 */
function allowedHeaders(asked: string): string {
  const names = asked.split(',').map((name) => name.trim())
  const own = new Set(ownHeaders.map((name) => name.toLowerCase()))
  const others = names.filter((name) => headerName.test(name) && !own.has(name.toLowerCase()))
  return [...ownHeaders, ...others.slice(0, headerNamesMax)].join(', ')
}

function allowedMethods(matches: readonly Match[]): string {
  const methods = new Set<string>(matches.map(({ route }) => route.method))
  if (methods.has('GET')) methods.add('HEAD')
  return [...methods, 'OPTIONS'].join(', ')
}

/** The decoded parameters if the path matches the route, else `undefined`. */
function paramsOf(
  parts: readonly string[],
  given: readonly string[],
): Readonly<Record<string, string>> | undefined {
  if (parts.length !== given.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, part] of parts.entries()) {
    const value = given[index] as string
    if (!part.startsWith(':')) {
      if (part !== value) return undefined
      continue
    }
    try {
      params[part.slice(1)] = decodeURIComponent(value)
    } catch {
      return undefined
    }
  }
  return params
}

/** Milliseconds; 0 where there is no such header, `undefined` where it is no number of them. */
function ageOf(header: string): number | undefined {
  if (header === '') return 0
  return /^\d{1,15}$/.test(header) ? Number(header) : undefined
}
