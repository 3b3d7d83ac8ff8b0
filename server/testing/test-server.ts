/**
 * A real server on a free port, with a cluster in memory and clients.
 *
 * Invariant: `close` closes everything that was opened, and removes the temporary folder. Source: docs/style.md,
 * "Tests".
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import WebSocket from 'ws'
import type { SubjectId } from '../../protocol/ids.ts'
import { readMsgpack, writeMsgpack } from '../../protocol/msgpack.ts'
import { serverFrameFault } from '../../protocol/server-frames.ts'
import { jsonSubprotocol, msgpackSubprotocol } from '../../protocol/subprotocols.ts'
import { type Clock, systemClock } from '../../runtime/clock.ts'
import { loadConfig } from '../../runtime/config.ts'
import { createLogger } from '../../runtime/logger.ts'
import { createMetrics } from '../../runtime/metrics.ts'
import { type NotificationSink, type RunningServer, serverSection, startServer } from '../index.ts'
import { MemoryCluster } from './memory-cluster.ts'

/** The project `node-carrier` of vitest.config.ts runs the same tests on the other carrier. */
export const carrierOfTests = process.env['MARTILLO_TEST_CARRIER'] ?? 'uws'

export interface HouseOptions {
  /** Settings that differ from the defaults. */
  readonly settings?: Readonly<Record<string, unknown>>
  readonly clock?: Clock
  readonly sink?: NotificationSink
  readonly webhookSecretOf?: (buyerId: SubjectId) => string
  readonly webDir?: string
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
  readonly text: string
}

export interface AskOptions {
  readonly method?: string
  readonly token?: string | undefined
  readonly key?: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export class TestHouse {
  readonly server: RunningServer
  readonly cluster: MemoryCluster
  readonly dataDir: string
  /** Every log line so far. */
  readonly logLines: readonly string[]
  readonly operatorToken: string
  readonly #clients = new Set<TestClient>()

  private constructor(
    parts: Pick<TestHouse, 'server' | 'cluster' | 'dataDir' | 'logLines' | 'operatorToken'>,
  ) {
    this.server = parts.server
    this.cluster = parts.cluster
    this.dataDir = parts.dataDir
    this.logLines = parts.logLines
    this.operatorToken = parts.operatorToken
  }

  static async open(options: HouseOptions = {}): Promise<TestHouse> {
    const clock = options.clock ?? systemClock
    const dataDir = await mkdtemp(join(tmpdir(), 'martillo-server-'))
    const logLines: string[] = []
    const logger = createLogger({
      level: 'debug',
      role: 'server',
      destination: { write: (line) => logLines.push(line) },
    })
    const { server: config } = loadConfig(
      { server: serverSection },
      {
        env: {},
        overrides: { port: 0, dataDir, drainGraceMs: 0, carrier: carrierOfTests, ...options.settings },
      },
    )
    const cluster = new MemoryCluster(clock)
    const server = await startServer({
      config,
      cluster,
      clock,
      random: Math.random,
      logger,
      metrics: createMetrics({ withProcess: false }),
      ...(options.sink === undefined ? {} : { sink: options.sink }),
      ...(options.webhookSecretOf === undefined ? {} : { webhookSecretOf: options.webhookSecretOf }),
      ...(options.webDir === undefined ? {} : { webDir: options.webDir }),
    })
    const operatorToken = (await readFile(join(dataDir, 'operator.token'), 'utf8')).trim()
    return new TestHouse({ server, cluster, dataDir, logLines, operatorToken })
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.terminate()
    await this.server.close()
    await rm(this.dataDir, { recursive: true, force: true })
  }

  async ask(path: string, options: AskOptions = {}): Promise<Answer> {
    const { body, token, key, headers } = options
    const isRaw = typeof body === 'string' || body instanceof Uint8Array
    const response = await fetch(`${this.server.url}${path}`, {
      method: options.method ?? (body === undefined ? 'GET' : 'POST'),
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(key === undefined ? {} : { 'idempotency-key': key }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: isRaw ? (body as string) : JSON.stringify(body) }),
    })
    const text = await response.text()
    const isJson = (response.headers.get('content-type') ?? '').includes('json')
    const parsed = isJson && text !== '' ? (JSON.parse(text) as Record<string, unknown>) : {}
    return { status: response.status, headers: response.headers, body: parsed, text }
  }

  /** A token of the house. */
  async tokenFor(subject: string, ...roles: readonly string[]): Promise<string> {
    const answer = await this.ask('/tokens', { token: this.operatorToken, body: { subject, roles } })
    return String(answer.body['token'])
  }

  /** Creates an auction of one minute with the opening bid 1.00; `terms` replace the defaults. */
  async createAuction(terms: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const body = { title: 'A clock', tags: ['clocks'], openingBid: 100, durationMs: 60_000, ...terms }
    const answer = await this.ask('/auctions', { token: this.operatorToken, body })
    if (answer.status !== 201) throw new Error(`no auction: ${answer.text}`)
    return String(answer.body['id'])
  }

  /** Opens a WebSocket and waits for `hello`. */
  async client(options: ClientOptions = {}): Promise<TestClient> {
    const client = this.socket(options)
    await client.next('hello')
    return client
  }

  /** Opens a WebSocket. */
  socket(options: ClientOptions = {}): TestClient {
    const client = new TestClient(this.server.url, options)
    this.#clients.add(client)
    return client
  }
}

export interface ClientOptions {
  readonly token?: string
  /** Send the token as a second offered subprotocol, not as a header. */
  readonly isTokenOffered?: boolean
  readonly binary?: boolean
  /** Replaces the subprotocols that follow from `binary` and `token`. */
  readonly subprotocols?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
}

export type Frame = Readonly<Record<string, unknown>> & { readonly type: string }

export class TestClient {
  readonly socket: WebSocket
  /** Every received frame, in order. */
  readonly frames: Frame[] = []
  /** Faults of frames that break the contract. */
  readonly faults: string[] = []
  closeCode: number | undefined
  readonly #binary: boolean
  readonly #waiters = new Set<() => void>()
  #read = 0
  #id = 0

  constructor(url: string, options: ClientOptions) {
    this.#binary = options.binary === true
    const { token, isTokenOffered = false } = options
    const offered = [this.#binary ? msgpackSubprotocol : jsonSubprotocol]
    if (token !== undefined && isTokenOffered) offered.push(`bearer.${token}`)
    this.socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, [...(options.subprotocols ?? offered)], {
      headers: {
        ...(token === undefined || isTokenOffered ? {} : { authorization: `Bearer ${token}` }),
        ...options.headers,
      },
    })
    this.socket.on('message', (data: Buffer, isBinary) => {
      const value = isBinary ? decoded(data) : JSON.parse(data.toString())
      const fault = serverFrameFault(value)
      if (fault !== undefined) this.faults.push(fault)
      this.frames.push(value as Frame)
      this.#wake()
    })
    this.socket.on('close', (code) => {
      this.closeCode = code
      this.#wake()
    })
    this.socket.on('error', () => this.#wake())
  }

  send(frame: Readonly<Record<string, unknown>>): void {
    this.raw(this.#binary ? writeMsgpack(frame) : JSON.stringify(frame))
  }

  raw(data: string | Uint8Array): void {
    this.socket.send(data, { binary: typeof data !== 'string' })
  }

  /** Sends a frame under a new id and waits for its answer. */
  async ask(frame: Readonly<Record<string, unknown>>): Promise<Frame> {
    this.#id += 1
    const id = `q${this.#id}`
    this.send({ id, ...frame })
    return this.find((answer) => answer['replyTo'] === (frame['id'] ?? id))
  }

  /** The next frame of this type after those that `next` returned before. */
  async next(type: string): Promise<Frame> {
    let found: Frame | undefined
    await this.until(() => {
      while (this.#read < this.frames.length) {
        const frame = this.frames[this.#read] as Frame
        this.#read += 1
        if (frame.type === type) {
          found = frame
          return true
        }
      }
      return false
    }, `a ${type} frame`)
    return found as Frame
  }

  /** The first frame that fits; waits for one if there is none. */
  async find(fits: (frame: Frame) => boolean): Promise<Frame> {
    await this.until(() => this.frames.some(fits), 'a frame that fits')
    return this.frames.find(fits) as Frame
  }

  all(type: string): readonly Frame[] {
    return this.frames.filter((frame) => frame.type === type)
  }

  async closed(): Promise<number> {
    while (this.closeCode === undefined) await this.#change()
    return this.closeCode
  }

  /** Resolves when the condition holds; rejects when the socket closes before. */
  async until(holds: () => boolean, what: string): Promise<void> {
    while (!holds()) {
      if (this.closeCode !== undefined)
        throw new Error(
          `closed with ${this.closeCode} before ${what}; frames: ${JSON.stringify(this.frames.slice(-5))}`,
        )
      await this.#change()
    }
  }

  terminate(): void {
    this.socket.terminate()
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter()
    this.#waiters.clear()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.add(resolve))
  }
}

function decoded(data: Uint8Array): unknown {
  const read = readMsgpack(data)
  if (!read.ok) throw new Error(`not msgpack: ${read.message}`)
  return read.value
}

/** Polls until a condition holds that no event announces. */
export async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5))
}
