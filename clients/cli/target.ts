/**
 * The house that a command talks to: address, tokens, HTTP and sessions.
 * Invariant: a token on the command line comes before one in the environment, and that one before those in the data
 * folder; a token file written here can be read by its owner alone (0600). Source: docs/protocol.md, "Command line".
 */
import { randomUUID } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { WebSocket } from 'ws'
import { frameBytesMax } from '../../protocol/limits.ts'
import { systemClock } from '../../runtime/clock.ts'
import {
  HouseHttp,
  type HouseHttpOptions,
  Session,
  type SessionOptions,
  type WebSocketClass,
  webSocketTransport,
} from '../core/index.ts'
import { usageFailure } from './failure.ts'
import { type Io, note } from './io.ts'

/** Options that every client verb takes. */
export interface TargetOptions {
  readonly json?: true
  readonly url?: string
  readonly token?: string
  readonly data?: string
}

const urlDefault = 'http://127.0.0.1:8080'

export function withTargetOptions(command: Command): Command {
  return command
    .option('--json', 'print machine-readable lines')
    .option('--url <url>', `address of the house (MARTILLO_URL; default: ${urlDefault})`)
    .option('--token <token>', 'act with this token (MARTILLO_TOKEN; default: by the data folder)')
    .option(
      '--data <dir>',
      'data folder of the house, for its operator.token (MARTILLO_DATA_DIR; default: ./data)',
    )
}

function readUrl(text: string): string {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw usageFailure(`not an address: ${text} (write it as ${urlDefault})`)
  }
  const protocol = { 'http:': 'http:', 'https:': 'https:', 'ws:': 'http:', 'wss:': 'https:' }[url.protocol]
  if (protocol === undefined || url.username !== '' || url.search !== '' || url.hash !== '')
    throw usageFailure(`not the address of a house: ${text} (write it as ${urlDefault})`)
  return `${protocol}//${url.host}${url.pathname}`.replace(/\/+$/, '')
}

/** A message to a client is an auction's view at most; this bounds the memory that a faulty server can take. */
const messageBytesMax = 64 * frameBytesMax

class BoundedWebSocket extends WebSocket {
  constructor(url: string, subprotocols: string[]) {
    super(url, subprotocols, { maxPayload: messageBytesMax, perMessageDeflate: false })
  }
}

const transport = webSocketTransport(BoundedWebSocket as unknown as WebSocketClass, systemClock)

/** A bidder whose token this machine keeps. */
export interface KeptBidder {
  readonly token: string
  /** Whether this run registered it. */
  readonly isNew: boolean
}

export class Target {
  readonly url: string
  readonly #dataDir: string
  readonly #options: TargetOptions
  readonly #io: Io

  constructor(options: TargetOptions, io: Io) {
    this.#options = options
    this.#io = io
    this.#dataDir = options.data ?? io.env['MARTILLO_DATA_DIR'] ?? './data'
    this.url = readUrl(options.url ?? io.env['MARTILLO_URL'] ?? urlDefault)
  }

  get isJson(): boolean {
    return this.#options.json === true
  }

  /** The token that was given with the command or in the environment. */
  get givenToken(): string | undefined {
    return this.#options.token ?? this.#io.env['MARTILLO_TOKEN']
  }

  /** The given token, or that of the operator where the data folder has one. */
  get managingToken(): string | undefined {
    return this.givenToken ?? this.#readToken('operator.token')
  }

  /** The managing token; without one, a failure that says how to get it, unless the house cannot be reached at all. */
  async requireManagingToken(): Promise<string> {
    const token = this.managingToken
    if (token !== undefined) return token
    await this.http().auctions({ limit: 1 })
    throw usageFailure(
      `this takes a token, and ${join(this.#dataDir, 'operator.token')} cannot be read (give --token, or --data with the folder of the house)`,
    )
  }

  http(token?: string, options: Partial<HouseHttpOptions> = {}): HouseHttp {
    return new HouseHttp({
      url: this.url,
      ...(token === undefined ? {} : { token: () => token }),
      fetch,
      clock: systemClock,
      random: Math.random,
      newId: randomUUID,
      ...options,
    })
  }

  session(token: string | undefined, options: Partial<SessionOptions> = {}): Session {
    return new Session({
      url: this.url,
      ...(token === undefined ? {} : { token: () => token }),
      transport,
      clock: systemClock,
      random: Math.random,
      newId: randomUUID,
      firstAttemptsMax: 1,
      attemptsMax: 10,
      bidPatienceMs: 30_000,
      ...options,
    })
  }

  /**
   * The bidder of this machine, or the one called `name`. Its token is kept in the data folder; a buyer is registered
   * when it is first needed, and again when `isStale` says that the house no longer accepts it.
   */
  async bidder(name: string | undefined, isStale = false): Promise<KeptBidder> {
    if (name !== undefined && !/^[A-Za-z0-9._-]{1,64}$/.test(name))
      throw usageFailure(`not a name: ${name} (1 to 64 letters, digits, . _ -)`)
    const file = name === undefined ? 'bidder.token' : `bidder-${name}.token`
    const kept = isStale ? undefined : this.#readToken(file)
    if (kept !== undefined) return { token: kept, isNew: false }
    const { id, token } = await this.http(this.managingToken).registerBuyer({ name: name ?? 'command line' })
    const path = this.#writeToken(file, token)
    note(this.#io, `registered a bidder for this machine: ${id}, its token is in ${path}`)
    return { token, isNew: true }
  }

  #readToken(file: string): string | undefined {
    try {
      return readFileSync(join(this.#dataDir, file), 'utf8').trim() || undefined
    } catch {
      return undefined
    }
  }

  #writeToken(file: string, token: string): string {
    const path = join(this.#dataDir, file)
    try {
      mkdirSync(this.#dataDir, { recursive: true })
      writeFileSync(`${path}.new`, `${token}\n`, { mode: 0o600 })
      chmodSync(`${path}.new`, 0o600)
      renameSync(`${path}.new`, path)
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw usageFailure(`cannot keep a token in ${path}: ${why} (give --token, or another --data)`)
    }
    return path
  }
}
