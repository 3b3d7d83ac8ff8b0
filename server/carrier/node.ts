/**
 * Implements the ports of `socket.ts` with `node:http` and `ws`.
 *
 * It runs wherever Node does, at a higher cost a message than uWebSockets.js (`npm run bench -- carrier` says how much).
 * It also does what that cannot: HTTP/1.0, absolute-form targets, pipelined requests, and problem documents for bytes
 * that are no request. WebSockets are in `node-socket.ts`. Invariant: whatever a handler does (throw, reject, answer
 * late, answer a client that is gone), the process keeps running; a request has at most `headerBytesMax` of headers.
 * Source: docs/spec.md EDGE; RFC 9112.
 */
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Duplex, Readable } from 'node:stream'
import { WebSocketServer } from 'ws'
import { discardedBytesMax, headerBytesMax } from '../../protocol/limits.ts'
import { assert } from '../../runtime/assert.ts'
import type { CancelTimer, Clock } from '../../runtime/clock.ts'
import { carrierProblem, internalProblem, problemOfParser } from './carrier-problems.ts'
import { Later } from './later.ts'
import { NodeSocket, type NodeSocketContext, Topics } from './node-socket.ts'
import {
  type BodyRead,
  type Edge,
  type EdgeHandlers,
  type EdgeOptions,
  type HttpAnswer,
  type HttpExchange,
  type HttpRequest,
  type KeptHeader,
  ListenError,
  type UpgradeDecision,
} from './socket.ts'

/** A request's head must be here after this time; an idle connection is kept this long. As uWebSockets.js does. */
const headTimeoutMs = 10_000
/** How long a client that closes may take to end its connection. */
const closeTimeoutMs = 2000
/** How long a connection may linger after an answer that ends it. */
const lingerMs = 2000

function requestOf(message: IncomingMessage): HttpRequest {
  const target = (message.url ?? '/').replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i, '')
  const at = target.indexOf('?')
  const path = at < 0 ? target : target.slice(0, at)
  return {
    method: message.method ?? 'GET',
    path: path === '' ? '/' : path,
    query: at < 0 ? '' : target.slice(at + 1),
    peerAddress: message.socket.remoteAddress ?? '',
    header: (name: KeptHeader) => {
      const value = message.headers[name]
      return value === undefined ? '' : typeof value === 'string' ? value : value.join(', ')
    },
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

interface AnswerOptions {
  /** The client sends its body only once it is asked to. */
  readonly isContinueOwed?: boolean
  /** Where the body comes from; default: the message. */
  readonly body?: Readable
}

/** One HTTP request and its answer. */
class NodeExchange implements HttpExchange {
  readonly request: HttpRequest
  readonly #message: IncomingMessage
  readonly #body: Readable
  readonly #clock: Clock
  #response: ServerResponse | undefined
  readonly #isContinueOwed: boolean
  #onAborted: (() => void) | undefined

  constructor(message: IncomingMessage, response: ServerResponse, clock: Clock, options: AnswerOptions) {
    this.request = requestOf(message)
    this.#message = message
    this.#body = options.body ?? message
    this.#response = response
    this.#clock = clock
    this.#isContinueOwed = options.isContinueOwed === true
    message.on('error', () => undefined)
    response.on('error', () => undefined)
    response.on('close', () => {
      this.#response = undefined
      this.#onAborted?.()
    })
  }

  readBody(bytesMax: number, deadlineMs: number): Promise<BodyRead> {
    return new Promise((resolve) => {
      if (this.#response === undefined) return resolve({ ok: false, why: 'aborted' })
      if (this.#isContinueOwed) this.#response.writeContinue()
      const body = this.#body
      let chunks: Uint8Array[] = []
      let length = 0
      const finish = (read: BodyRead): void => {
        cancel()
        body.off('data', take)
        body.off('end', end)
        // The rest of a body that was given up is read and dropped until the connection ends.
        if (!read.ok) body.resume()
        resolve(read)
      }
      const take = (chunk: Uint8Array): void => {
        length += chunk.byteLength
        if (length <= bytesMax) chunks.push(chunk)
        else {
          chunks = []
          if (length > discardedBytesMax) finish({ ok: false, why: 'too_large' })
        }
      }
      const end = (): void =>
        finish(
          length > bytesMax ? { ok: false, why: 'too_large' } : { ok: true, bytes: Buffer.concat(chunks) },
        )
      const cancel = this.#clock.setTimer(deadlineMs, () => finish({ ok: false, why: 'too_slow' }))
      this.#onAborted = () => finish({ ok: false, why: 'aborted' })
      body.on('data', take)
      body.on('end', end)
    })
  }

  answer({ status, headers, body, isLast = false }: HttpAnswer): void {
    const response = this.#response
    this.#response = undefined
    if (response === undefined) return
    const isBare = status === 204 || status === 304
    // A request that is not here as a whole would be read as the next one.
    const isClosing = isLast || (hasBody(this.#message) && !this.#message.complete)
    if (isClosing) response.shouldKeepAlive = false
    response.writeHead(status, isBare ? headers : { ...headers, 'Content-Length': Buffer.byteLength(body) })
    response.end(isBare || this.request.method === 'HEAD' ? undefined : body)
    if (!isClosing) return
    // A connection that is destroyed while its client still sends is reset, and the client seldom reads why.
    const { socket } = this.#message
    socket.destroySoon = () => socket.end()
    const cancel = this.#clock.setTimer(lingerMs, () => socket.destroy())
    socket.once('close', cancel)
  }
}

class NodeEdge<SocketSession> implements Edge {
  readonly carrier = 'node'
  readonly host: string
  port = 0
  readonly #options: EdgeOptions
  readonly #handlers: EdgeHandlers<SocketSession>
  readonly #server: Server
  readonly #upgrader: WebSocketServer
  readonly #context: NodeSocketContext<SocketSession>
  readonly #sockets = new Set<NodeSocket<SocketSession>>()
  /** Connections with a request that has no answer yet. */
  readonly #busy = new WeakMap<Duplex, number>()
  #cancelTending: CancelTimer = () => undefined
  #isClosed = false

  constructor(options: EdgeOptions, handlers: EdgeHandlers<SocketSession>) {
    this.host = options.host
    this.#options = options
    this.#handlers = handlers
    const upgraderOptions = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      // Pongs are ours: a client that does not read them must not be fed without end.
      autoPong: false,
      maxPayload: options.messageBytesMax,
      // Its types do not know this one yet.
      closeTimeout: closeTimeoutMs,
    }
    this.#upgrader = new WebSocketServer(upgraderOptions)
    this.#context = {
      bufferedBytesMax: options.bufferedBytesMax,
      clock: options.clock,
      handlers,
      later: new Later((error, where) => handlers.fault(error, where)),
      topics: new Topics(),
    }
    const server = createServer({
      maxHeaderSize: headerBytesMax,
      // Refused below, as a problem.
      requireHostHeader: false,
      joinDuplicateHeaders: true,
      headersTimeout: headTimeoutMs,
      keepAliveTimeout: headTimeoutMs,
      // Bodies have a deadline of their own, in `readBody`.
      requestTimeout: 0,
      connectionsCheckingInterval: 1000,
    })
    server.maxHeadersCount = 0
    server.on('request', (message, response) => this.#answer(message, response))
    server.on('checkContinue', (message, response) =>
      this.#answer(message, response, { isContinueOwed: true }),
    )
    server.on('checkExpectation', (message, response) => this.#answer(message, response))
    server.on('upgrade', (message, socket, head) => this.#upgrade(message, socket, head))
    server.on('connect', (message, socket, head) => this.#answerUpgrade(message, socket, head))
    server.on('clientError', (error, socket) => this.#refuse(error, socket))
    this.#server = server
  }

  async listen(): Promise<void> {
    const { host, port } = this.#options
    await new Promise<void>((resolve, reject) => {
      const failed = (cause: Error): void =>
        reject(
          new ListenError(
            `cannot listen on ${host}:${port}: the port is in use, or the address is not this machine's`,
            { cause },
          ),
        )
      this.#server.once('error', failed)
      this.#server.listen({ host, port, exclusive: true }, () => {
        this.#server.off('error', failed)
        resolve()
      })
    })
    // A connection that fails while it is accepted is that client's loss.
    this.#server.on('error', (error) => this.#handlers.fault(error, 'listen'))
    this.port = (this.#server.address() as AddressInfo).port
    this.#tend()
  }

  publish(topic: string, message: string | Uint8Array): void {
    if (!this.#isClosed) this.#context.topics.publish(topic, message)
  }

  stopListening(): void {
    this.#server.close()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.stopListening()
    this.#cancelTending()
    this.#server.closeAllConnections()
    for (const socket of this.#sockets) socket.terminate()
  }

  #answer(message: IncomingMessage, response: ServerResponse, options: AnswerOptions = {}): void {
    const { socket } = message
    // It came after a request whose answer was the last one.
    if (socket.writableEnded) return
    this.#busy.set(socket, (this.#busy.get(socket) ?? 0) + 1)
    response.once('close', () => this.#busy.set(socket, (this.#busy.get(socket) ?? 1) - 1))
    const exchange = new NodeExchange(message, response, this.#options.clock, options)
    const fail = (error: unknown): void => {
      exchange.answer(internalProblem)
      this.#handlers.fault(error, 'http')
    }
    if (message.httpVersion === '1.1' && message.headers.host === undefined) {
      exchange.answer(carrierProblem(400))
      return
    }
    try {
      const outcome = this.#handlers.http(exchange)
      if (outcome instanceof Promise) outcome.then((answer) => exchange.answer(answer)).catch(fail)
      else exchange.answer(outcome)
    } catch (error) {
      fail(error)
    }
  }

  #upgrade(message: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => undefined)
    if (!isWebSocketRequest(message, this.#options.socketPath)) {
      this.#answerUpgrade(message, socket, head)
      return
    }
    const decision = this.#decide(message)
    if (!decision.accept) {
      writeAnswer(socket, decision.answer, this.#options.clock)
      return
    }
    const { session, subprotocol } = decision
    // The choice is made: what was offered is not to be read again.
    delete message.headers['sec-websocket-protocol']
    delete message.headers['sec-websocket-extensions']
    if (subprotocol !== '') message.headers['sec-websocket-protocol'] = subprotocol
    this.#upgrader.handleUpgrade(message, socket, head, (ws) => {
      const opened = new NodeSocket(session, { ws, stream: message.socket }, this.#context, () =>
        this.#sockets.delete(opened),
      )
      this.#sockets.add(opened)
      opened.opened()
    })
  }

  #decide(message: IncomingMessage): UpgradeDecision<SocketSession> {
    try {
      return this.#handlers.upgrade(requestOf(message))
    } catch (error) {
      this.#handlers.fault(error, 'upgrade')
      return { accept: false, answer: internalProblem }
    }
  }

  /** Answers a request that asks to upgrade to anything else: as if it had not asked. Node leaves its body unread. */
  #answerUpgrade(message: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => undefined)
    const length = Number(message.headers['content-length'] ?? 0)
    if (message.headers['transfer-encoding'] !== undefined || !Number.isSafeInteger(length)) {
      writeAnswer(socket, carrierProblem(400), this.#options.clock)
      return
    }
    const response = new ServerResponse(message)
    response.shouldKeepAlive = false
    response.assignSocket(message.socket)
    response.on('finish', () => socket.end())
    this.#answer(message, response, { body: bodyAfterUpgrade(socket, head, length) })
  }

  /** Bytes that are no request, or not in time. */
  #refuse(error: Error & { readonly code?: string }, socket: Duplex): void {
    socket.on('error', () => undefined)
    const isAnswering = (this.#busy.get(socket) ?? 0) > 0
    if (error.code === 'ECONNRESET' || !socket.writable || isAnswering) socket.destroy()
    else writeAnswer(socket, problemOfParser(error.code ?? ''), this.#options.clock)
  }

  /** Drops connections without a sign of life, and those that leave a message unfinished. The gateway's own heartbeat comes first. */
  #tend(): void {
    const { clock, idleTimeoutSeconds, messageTimeoutMs } = this.#options
    const idleMs = idleTimeoutSeconds * 1000
    const nowMs = clock.monotonicMs()
    for (const socket of this.#sockets)
      if (nowMs - socket.heardMs > idleMs) socket.terminate()
      else socket.tend(nowMs, messageTimeoutMs)
    this.#cancelTending = clock.setTimer(Math.min(idleMs, messageTimeoutMs) / 4, () => this.#tend())
  }
}

function isWebSocketRequest(message: IncomingMessage, socketPath: string): boolean {
  const { headers, method } = message
  return (
    method === 'GET' &&
    requestOf(message).path === socketPath &&
    headers.host !== undefined &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    /^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '') &&
    (headers['sec-websocket-version'] === '13' || headers['sec-websocket-version'] === '8')
  )
}

/** The body that follows a request on its connection, once Node's parser has let go of it. */
function bodyAfterUpgrade(socket: Duplex, head: Buffer, length: number): Readable {
  const body = new Readable({ read: () => undefined })
  let missing = length
  const take = (chunk: Buffer): void => {
    const part = chunk.subarray(0, missing)
    missing -= part.length
    if (part.length > 0) body.push(part)
    if (missing === 0) body.push(null)
  }
  // What comes after the body is dropped: the connection ends with the answer.
  socket.on('data', take)
  take(head)
  return body
}

/** Writes an answer to a connection without a parser, and ends it. */
function writeAnswer(socket: Duplex, answer: HttpAnswer, clock: Clock): void {
  const { status, headers, body } = answer
  const response = new ServerResponse({
    method: 'GET',
    httpVersionMajor: 1,
    httpVersionMinor: 1,
  } as IncomingMessage)
  response.shouldKeepAlive = false
  response.assignSocket(socket as IncomingMessage['socket'])
  response.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(body) })
  response.end(body)
  response.on('finish', () => socket.end())
  const cancel = clock.setTimer(lingerMs, () => socket.destroy())
  socket.once('close', cancel)
  socket.resume()
}

/** Listens. Rejects with `ListenError` (port in use, address not ours). */
export async function openNodeEdge<SocketSession>(
  options: EdgeOptions,
  handlers: EdgeHandlers<SocketSession>,
): Promise<Edge> {
  assert(
    options.idleTimeoutSeconds >= 8 && options.idleTimeoutSeconds <= 960,
    'an idle timeout is 8 to 960 seconds',
  )
  const edge = new NodeEdge(options, handlers)
  await edge.listen()
  return edge
}
