/**
 * Implements the ports of `socket.ts` with uWebSockets.js.
 *
 * Only this file imports it. Two versions are installed under aliases, because no version runs on every supported
 * Node. Invariant: whatever a handler does (throw, reject, answer late, answer a client that is gone), the process
 * keeps running. uWebSockets.js itself ends the process at an exception, at an exchange without an abort handler, and
 * at an idle timeout of 1 to 7 seconds. A port that is in use is an error, not a second listener. A socket is opened
 * in the turn of its request: when opened later, version 20.51 sometimes takes it for an HTTP connection and drops it.
 * Source: docs/spec.md EDGE; the documentation of uWebSockets.js.
 */
import { STATUS_CODES } from 'node:http'
import type {
  HttpRequest as NativeRequest,
  HttpResponse as NativeResponse,
  TemplatedApp,
  us_listen_socket,
  us_socket,
  WebSocket,
  WebSocketBehavior,
} from 'uws-node20'
import { discardedBytesMax, headerBytesMax } from '../../protocol/limits.ts'
import { assert } from '../../runtime/assert.ts'
import type { Clock } from '../../runtime/clock.ts'
import { internalProblem } from './carrier-problems.ts'
import { Later } from './later.ts'
import type {
  BodyRead,
  Edge,
  EdgeHandlers,
  EdgeOptions,
  HttpAnswer,
  HttpExchange,
  HttpRequest,
  Socket,
} from './socket.ts'
import { keptHeaders, ListenError } from './socket.ts'

/** The typings lack the form of `listen` with a host and options. */
type NativeApp = Omit<TemplatedApp, 'listen'> & {
  listen(host: string, port: number, options: number, done: (socket: us_listen_socket | false) => void): void
}

/** What we use of the module, the same in both versions. */
export interface Native {
  App(): NativeApp
  us_listen_socket_close(listener: us_listen_socket): void
  us_socket_local_port(socket: us_socket): number
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number
}

export class EdgeUnavailableError extends Error {
  readonly code = 'edge_unavailable'
  readonly retryable = false
}

/**
 * Aliases to try on a Node version, best first. 20.69 runs on Node 22, 24 and 26 with glibc 2.38 or newer; 20.51
 * on Node 20, 22 and 23 with any glibc.
 */
export function nativeCandidates(nodeMajor: number): readonly ('uws-node20' | 'uws-node22')[] {
  if (nodeMajor === 22) return ['uws-node22', 'uws-node20']
  return nodeMajor < 24 ? ['uws-node20'] : ['uws-node22']
}

/** Loads the version that runs here. Rejects with `EdgeUnavailableError`, which names the remedy. */
export async function loadNative(
  nodeVersion: string = process.versions.node,
  load: (alias: string) => Promise<unknown> = (alias) => import(alias),
): Promise<Native> {
  const reasons: string[] = []
  // The library reads this when it is loaded; its default is 4 KiB.
  process.env['UWS_HTTP_MAX_HEADERS_SIZE'] = String(headerBytesMax)
  for (const alias of nativeCandidates(Number.parseInt(nodeVersion, 10))) {
    try {
      return (await load(alias)) as Native
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      reasons.push(
        `${alias}: ${
          text
            .split('\n')
            .filter((line) => line.trim() !== '')
            .at(-1) ?? text
        }`,
      )
    }
  }
  throw new EdgeUnavailableError(
    `uWebSockets.js does not load on Node ${nodeVersion} (${process.platform} ${process.arch}). ` +
      'It needs Node 20 or 22 with glibc, or Node 24 or 26 with glibc 2.38 or newer; musl (Alpine) is not ' +
      `supported. Run \`npm ci\` with the Node version that will run the server. ${reasons.join('; ')}`,
  )
}

/** A session's socket. Native calls throw once the socket is closed, so each call checks that first. */
class NativeSocket<SocketSession> implements Socket {
  readonly session: SocketSession
  readonly #later: Later
  #native: WebSocket<SocketData<SocketSession>> | undefined
  #isEnding = false
  #isDrainDue = false

  constructor(session: SocketSession, native: WebSocket<SocketData<SocketSession>>, later: Later) {
    this.session = session
    this.#native = native
    this.#later = later
  }

  get isClosed(): boolean {
    return this.#native === undefined || this.#isEnding
  }

  get bufferedBytes(): number {
    return this.#native?.getBufferedAmount() ?? 0
  }

  send(message: string | Uint8Array): boolean {
    if (this.#native === undefined || this.#isEnding || this.#later.isInside) return false
    return this.#native.send(message, typeof message !== 'string') !== droppedStatus
  }

  cork(write: () => void): void {
    this.#use((native) => native.cork(write))
  }

  subscribe(topic: string): void {
    this.#use((native) => native.subscribe(topic))
  }

  unsubscribe(topic: string): void {
    this.#use((native) => native.unsubscribe(topic))
  }

  ping(): void {
    this.#use((native) => native.ping())
  }

  end(code: number, reason: string): void {
    if (this.isClosed) return
    this.#isEnding = true
    this.#later.run(() => this.#native?.end(code, reason))
  }

  terminate(): void {
    this.#isEnding = true
    this.#later.run(() => this.#native?.close())
  }

  /** Reports room in a later turn, once for all room made until then. */
  drained(report: () => void): void {
    if (this.#isDrainDue) return
    this.#isDrainDue = true
    this.#later.run(() => {
      this.#isDrainDue = false
      if (this.#native !== undefined) report()
    })
  }

  markClosed(): void {
    this.#native = undefined
  }

  #use(work: (native: WebSocket<SocketData<SocketSession>>) => void): void {
    if (this.isClosed) return
    if (this.#later.isInside) this.#later.run(() => this.#use(work))
    else if (this.#native !== undefined) work(this.#native)
  }
}

const droppedStatus = 2

interface SocketData<SocketSession> {
  readonly session: SocketSession
  /** Absent until the socket is open. */
  socket?: NativeSocket<SocketSession>
}

/** Runs a handler of an open socket; an error of it closes the socket with 1011. */
function guard<SocketSession>(
  socket: Socket,
  where: string,
  handlers: EdgeHandlers<SocketSession>,
  run: () => void,
): void {
  try {
    run()
  } catch (error) {
    socket.end(1011, 'internal')
    handlers.fault(error, where)
  }
}

const addressText = new TextDecoder()
const kept: ReadonlySet<string> = new Set(keptHeaders)

/** One HTTP request and its answer. `request` is a copy: the native one is gone when the handler returns. */
class NativeExchange<SocketSession> implements HttpExchange {
  readonly request: HttpRequest
  readonly #handlers: EdgeHandlers<SocketSession>
  readonly #clock: Clock
  #response: NativeResponse | undefined
  #onAborted: (() => void) | undefined

  constructor(
    response: NativeResponse,
    request: NativeRequest,
    handlers: EdgeHandlers<SocketSession>,
    clock: Clock,
  ) {
    this.#response = response
    this.#handlers = handlers
    this.#clock = clock
    response.onAborted(() => {
      this.#response = undefined
      this.#onAborted?.()
    })
    // Asked by name, only the first of a header that came more than once would be given.
    const headers: Partial<Record<string, string>> = {}
    request.forEach((name, value) => {
      if (kept.has(name)) headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
    })
    this.request = {
      method: request.getCaseSensitiveMethod(),
      path: request.getUrl(),
      query: request.getQuery() ?? '',
      peerAddress: addressText.decode(response.getRemoteAddressAsText()),
      header: (name) => headers[name] ?? '',
    }
  }

  readBody(bytesMax: number, deadlineMs: number): Promise<BodyRead> {
    return new Promise((resolve) => {
      const response = this.#response
      if (response === undefined) return resolve({ ok: false, why: 'aborted' })
      let chunks: Uint8Array[] = []
      let length = 0
      let isDone = false
      const finish = (read: BodyRead): void => {
        if (isDone) return
        isDone = true
        cancel()
        resolve(read)
      }
      const cancel = this.#clock.setTimer(deadlineMs, () => finish({ ok: false, why: 'too_slow' }))
      this.#onAborted = () => finish({ ok: false, why: 'aborted' })
      response.onData((chunk, isLast) => {
        if (isDone) return
        length += chunk.byteLength
        if (length > bytesMax) {
          chunks = []
          if (isLast || length > discardedBytesMax) finish({ ok: false, why: 'too_large' })
          return
        }
        chunks.push(new Uint8Array(chunk.slice(0)))
        if (isLast)
          finish({ ok: true, bytes: chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks) })
      })
    })
  }

  /** Computes a result, now or later, and delivers it; any failure is answered with 500. */
  settle<Result>(
    where: string,
    compute: () => Result | Promise<Result>,
    deliver: (result: Result) => void,
  ): void {
    const fail = (error: unknown): void => {
      this.answer(internalProblem)
      this.#handlers.fault(error, where)
    }
    try {
      const result = compute()
      if (result instanceof Promise) result.then(deliver).catch(fail)
      else deliver(result)
    } catch (error) {
      fail(error)
    }
  }

  answer({ status, headers, body, isLast = false }: HttpAnswer): void {
    const line = `${status} ${STATUS_CODES[status] ?? ''}`
    const isBare = status === 204 || status === 304
    const length = Buffer.byteLength(body)
    this.take((response) => {
      response.writeStatus(line)
      for (const [name, value] of Object.entries(headers)) response.writeHeader(name, value)
      // With any argument at all this would write a length, and these have none.
      if (isBare && isLast) response.writeHeader('Connection', 'close')
      if (isBare) response.endWithoutBody()
      else if (this.request.method === 'HEAD') response.endWithoutBody(length, isLast)
      else if (isLast) response.end(body, true)
      else sendAsRead(response, body, length)
    })
  }

  /** Passes on the native response for the last time, unless the client is gone. */
  take(use: (response: NativeResponse) => void): void {
    const response = this.#response
    this.#response = undefined
    response?.cork(() => use(response))
  }
}

/**
 * Ends a response as its client reads. A client that sends its next request before it has read this answer loses its
 * connection: `end` would keep every answer in memory.
 */
function sendAsRead(response: NativeResponse, body: string | Uint8Array, length: number): void {
  const from = response.getWriteOffset()
  const [, isDone] = response.tryEnd(body, length)
  if (isDone) return
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  response.onWritable((offset) => response.tryEnd(bytes.subarray(offset - from), length)[0])
}

/** Requests of one address that are answered in the turn in which they came; further ones wait for the next. */
const requestsPerTurnMax = 256

/** Counts requests of this turn by address, so that no one's requests, sent all at once, keep others waiting. */
class PerTurn {
  readonly #counts = new Map<string, number>()

  isBeyond(address: string): boolean {
    const count = (this.#counts.get(address) ?? 0) + 1
    if (this.#counts.size === 0) setImmediate(() => this.#counts.clear())
    this.#counts.set(address, count)
    return count > requestsPerTurnMax
  }
}

class NativeEdge implements Edge {
  readonly carrier = 'uws'
  readonly host: string
  readonly port: number
  readonly #native: Native
  readonly #app: NativeApp
  readonly #later: Later
  #listener: us_listen_socket | undefined
  #isClosed = false

  constructor(native: Native, app: NativeApp, later: Later, listener: us_listen_socket, host: string) {
    this.#native = native
    this.#later = later
    this.#app = app
    this.#listener = listener
    this.host = host
    this.port = native.us_socket_local_port(listener as us_socket)
  }

  publish(topic: string, message: string | Uint8Array): void {
    if (this.#isClosed) return
    if (this.#later.isInside) this.#later.run(() => this.publish(topic, message))
    else this.#app.publish(topic, message, typeof message !== 'string')
  }

  stopListening(): void {
    const listener = this.#listener
    this.#listener = undefined
    if (listener !== undefined) this.#native.us_listen_socket_close(listener)
  }

  close(): void {
    if (this.#isClosed) return
    this.stopListening()
    this.#isClosed = true
    this.#app.close()
  }
}

/** Listens. Rejects with `ListenError` (port in use, address not ours). */
export async function openNativeEdge<SocketSession>(
  native: Native,
  options: EdgeOptions,
  handlers: EdgeHandlers<SocketSession>,
): Promise<Edge> {
  assert(
    options.idleTimeoutSeconds >= 8 && options.idleTimeoutSeconds <= 960,
    'an idle timeout is 8 to 960 seconds',
  )
  const app = native.App()
  const later = new Later((error, where) => handlers.fault(error, where))
  app.ws<SocketData<SocketSession>>(options.socketPath, socketBehavior(options, handlers, later))
  const perTurn = new PerTurn()
  app.any('/*', (response, request) => {
    const exchange = new NativeExchange(response, request, handlers, options.clock)
    const answer = (): void =>
      exchange.settle(
        'http',
        () => handlers.http(exchange),
        (settled) => exchange.answer(settled),
      )
    // A body must be read from its own turn on. The next request of a connection ends it while this one waits.
    const mayWait = exchange.request.method === 'GET' || exchange.request.method === 'HEAD'
    if (mayWait && perTurn.isBeyond(exchange.request.peerAddress)) later.run(answer)
    else answer()
  })
  const listener = await new Promise<us_listen_socket>((resolve, reject) => {
    app.listen(options.host, options.port, native.LIBUS_LISTEN_EXCLUSIVE_PORT, (socket) => {
      if (socket) resolve(socket)
      else
        reject(
          new ListenError(
            `cannot listen on ${options.host}:${options.port}: the port is in use, or the address is not this machine's`,
          ),
        )
    })
  })
  return new NativeEdge(native, app, later, listener, options.host)
}

/** The callbacks of a socket. Those in which sockets must not be touched are run by `later`. */
function socketBehavior<SocketSession>(
  options: EdgeOptions,
  handlers: EdgeHandlers<SocketSession>,
  later: Later,
): WebSocketBehavior<SocketData<SocketSession>> {
  type Ws = WebSocket<SocketData<SocketSession>>
  const call = (ws: Ws, where: string, run: (session: SocketSession) => void): void => {
    const { socket, session } = ws.getUserData()
    if (socket !== undefined && (where === 'close' || !socket.isClosed))
      guard(socket, where, handlers, () => run(session))
  }
  return {
    maxPayloadLength: options.messageBytesMax,
    maxBackpressure: options.bufferedBytesMax,
    idleTimeout: options.idleTimeoutSeconds,
    sendPingsAutomatically: false,
    upgrade: (response, request, context) => {
      const exchange = new NativeExchange(response, request, handlers, options.clock)
      const key = exchange.request.header('sec-websocket-key')
      const extensions = exchange.request.header('sec-websocket-extensions')
      exchange.settle(
        'upgrade',
        () => handlers.upgrade(exchange.request),
        (decision) => {
          if (!decision.accept) return exchange.answer(decision.answer)
          const data: SocketData<SocketSession> = { session: decision.session }
          exchange.take((taken) => taken.upgrade(data, key, decision.subprotocol, extensions, context))
        },
      )
    },
    open: (ws) => {
      const data = ws.getUserData()
      const socket = new NativeSocket(data.session, ws, later)
      data.socket = socket
      call(ws, 'open', (session) => handlers.open(session, socket))
    },
    message: (ws, message, isBinary) =>
      call(ws, 'message', (session) => handlers.message(session, new Uint8Array(message), isBinary)),
    dropped: (ws, message, isBinary) =>
      later.inside(() =>
        call(ws, 'dropped', (session) => handlers.dropped(session, new Uint8Array(message), isBinary)),
      ),
    drain: (ws) =>
      ws.getUserData().socket?.drained(() => call(ws, 'drain', (session) => handlers.drain(session))),
    ping: (ws) => later.inside(() => call(ws, 'ping', (session) => handlers.ping(session))),
    pong: (ws) => later.inside(() => call(ws, 'pong', (session) => handlers.pong(session))),
    close: (ws, code) => {
      ws.getUserData().socket?.markClosed()
      later.inside(() => call(ws, 'close', (session) => handlers.close(session, code)))
    },
  }
}
