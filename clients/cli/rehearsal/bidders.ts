/**
 * The recorded bidders as bidders of the house, each with one socket at most.
 * A bidder is registered once, when it first bids. Invariant: beyond `socketsMax` open sockets, idle ones
 * are closed, the one idle longest first; a socket in use never is.
 */
import type { BuyerRegisteredBody } from '../../../protocol/http-bodies.ts'
import { nameLengthMax } from '../../../protocol/limits.ts'
import type { HouseHttp, Session } from '../../core/index.ts'
import type { Target } from '../target.ts'
import { clip, plain } from '../text.ts'

interface Bidder {
  readonly token: string
  session: Session | undefined
  users: number
}

const socketsMax = 128

/** Waits through a restart of the house, as the calls over HTTP do. */
const patient = { firstAttemptsMax: 10, attemptsMax: 10, bidPatienceMs: 120_000 }

export class Bidders {
  readonly #target: Target
  readonly #http: HouseHttp
  readonly #bidders = new Map<string, Promise<Bidder>>()
  /** Bidders with a socket, the one that was used last at the end. */
  readonly #open = new Set<Bidder>()

  /** Registers with the operator's token, which has no rate limit. */
  constructor(target: Target, operatorToken: string, unreachableRepeatsMax: number) {
    this.#target = target
    this.#http = target.http(operatorToken, { unreachableRepeatsMax })
  }

  /** How many were registered. */
  get size(): number {
    return this.#bidders.size
  }

  /** Lends a bidder's session to one piece of work. */
  async with<Result>(name: string, work: (session: Session) => Promise<Result>): Promise<Result> {
    const bidder = await this.#bidder(name)
    bidder.users += 1
    this.#open.delete(bidder)
    this.#open.add(bidder)
    bidder.session ??= this.#target.session(bidder.token, patient)
    this.#makeRoom()
    try {
      return await work(bidder.session)
    } finally {
      bidder.users -= 1
    }
  }

  #bidder(name: string): Promise<Bidder> {
    let bidder = this.#bidders.get(name)
    if (bidder === undefined) {
      bidder = this.#http
        .registerBuyer({ name: clip(plain(name), nameLengthMax) })
        .then(({ token }: BuyerRegisteredBody) => ({ token, session: undefined, users: 0 }))
      this.#bidders.set(name, bidder)
    }
    return bidder
  }

  #makeRoom(): void {
    for (const bidder of this.#open) {
      if (this.#open.size <= socketsMax) return
      if (bidder.users === 0) this.#hangUp(bidder)
    }
  }

  #hangUp(bidder: Bidder): void {
    bidder.session?.close()
    bidder.session = undefined
    this.#open.delete(bidder)
  }

  close(): void {
    for (const bidder of [...this.#open]) this.#hangUp(bidder)
  }
}
