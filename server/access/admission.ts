/**
 * Decides which requests, bids and sockets are within the limits.
 *
 * Requests and open sockets are counted by subject, or by address without a token; bids by bidder, registrations by
 * address. Answering the client is left to the caller. Invariant: an operator is never limited. The address that a
 * proxy reports counts only when that proxy is configured as trusted. Source: docs/spec.md RATE.
 */
import { type BlockList, isIP, isIPv6 } from 'node:net'
import { isIn, networks } from '../../runtime/networks.ts'
import type { HttpRequest } from '../carrier/socket.ts'
import type { ServerConfig } from '../config.ts'
import { hasRole, type Identity } from './auth.ts'
import { Budget, type Holder } from './budget.ts'
import { KeyedBuckets } from './token-bucket.ts'

export class Admission {
  readonly #config: ServerConfig
  readonly #requests: KeyedBuckets
  readonly #registrations: KeyedBuckets
  readonly #bids: KeyedBuckets
  readonly #bytes: KeyedBuckets
  /** Requests that wait for their answer. */
  readonly slots: Budget
  /** Bodies and early frames that are kept in memory. */
  readonly heldBytes: Budget
  /** Sockets whose token waits for the keys of an outside authority. */
  readonly waiting: Budget
  readonly #socketsOf = new Map<string, number>()
  readonly #trustedProxies: BlockList
  readonly #operatorNetworks: BlockList
  #socketCount = 0

  constructor(config: ServerConfig) {
    this.#config = config
    const rates = {
      requests: { perSecond: config.requestsPerSecond, burst: config.requestsBurst },
      registrations: { perSecond: config.registrationsPerSecond, burst: config.registrationsBurst },
      bids: { perSecond: config.bidsPerSecond, burst: config.bidsBurst },
      bytes: { perSecond: config.bytesPerSecond, burst: config.bytesBurst },
    }
    this.#requests = new KeyedBuckets(rates.requests, config.ratedKeysMax)
    this.#registrations = new KeyedBuckets(rates.registrations, config.ratedKeysMax)
    this.#bids = new KeyedBuckets(rates.bids, config.ratedKeysMax)
    this.#bytes = new KeyedBuckets(rates.bytes, config.ratedKeysMax)
    this.slots = new Budget({ perHolderMax: config.requestsPerAddressMax, totalMax: config.requestsMax })
    this.heldBytes = new Budget({
      perHolderMax: config.heldBytesPerAddressMax,
      totalMax: config.heldBytesMax,
    })
    this.waiting = new Budget({ perHolderMax: config.socketsPerAddressMax, totalMax: config.socketsMax })
    this.#trustedProxies = networks(config.trustedProxies)
    this.#operatorNetworks = networks(config.operatorNetworks)
  }

  /** The client's address: the last in the chain that is not a trusted proxy. */
  addressOf(request: HttpRequest): string {
    const forwarded = request.header('x-forwarded-for')
    let address = plainAddress(request.peerAddress)
    if (forwarded === '') return address
    for (const hop of forwarded.split(',').reverse()) {
      if (!isIn(this.#trustedProxies, address)) break
      const next = hop.trim()
      if (isIP(next) === 0) break
      address = plainAddress(next)
    }
    return address
  }

  /** Whether a request is an operator's, or comes from an operator network and not through an unknown proxy. */
  isFromOperator(request: HttpRequest, identity: Identity | undefined): boolean {
    if (hasRole(identity, 'operator')) return true
    const isForwarded = request.header('x-forwarded-for') !== ''
    if (isForwarded && !isIn(this.#trustedProxies, plainAddress(request.peerAddress))) return false
    return isIn(this.#operatorNetworks, this.addressOf(request))
  }

  /** Milliseconds to wait before a request or a new socket is admitted; 0: now. `nowMs` is monotonic. */
  request(identity: Identity | undefined, address: string, nowMs: number): number {
    if (hasRole(identity, 'operator')) return 0
    return this.#requests.take(keyOf(identity, address), nowMs)
  }

  /** Who pays for what a client holds and sends: its address, or its subject once a token says so. */
  holder(identity: Identity | undefined, address: string): Holder {
    return { key: keyOf(identity, address), isExempt: hasRole(identity, 'operator') }
  }

  /** Milliseconds to wait before so many bytes are looked at; 0: now. */
  received(holder: Holder, bytes: number, nowMs: number): number {
    return holder.isExempt ? 0 : this.#bytes.take(holder.key, nowMs, bytes)
  }

  registration(identity: Identity | undefined, address: string, nowMs: number): number {
    if (hasRole(identity, 'operator')) return 0
    return this.#registrations.take(rateKey(address), nowMs)
  }

  bid(identity: Identity, nowMs: number): number {
    if (hasRole(identity, 'operator')) return 0
    return this.#bids.take(identity.subject, nowMs)
  }

  get socketCount(): number {
    return this.#socketCount
  }

  /** Counts a new socket, or returns the bound that it exceeds. `socketClosed` uncounts each admitted one. */
  socketOpened(identity: Identity | undefined, address: string): 'admitted' | 'server_full' | 'address_full' {
    const isOperator = hasRole(identity, 'operator')
    if (this.#socketCount >= this.#config.socketsMax && !isOperator) return 'server_full'
    const key = keyOf(identity, address)
    const count = this.#socketsOf.get(key) ?? 0
    if (count >= this.#config.socketsPerAddressMax && !isOperator) return 'address_full'
    this.#socketsOf.set(key, count + 1)
    this.#socketCount += 1
    return 'admitted'
  }

  socketClosed(identity: Identity | undefined, address: string): void {
    const key = keyOf(identity, address)
    const count = this.#socketsOf.get(key) ?? 0
    if (count <= 1) this.#socketsOf.delete(key)
    else this.#socketsOf.set(key, count - 1)
    this.#socketCount -= 1
  }
}

/** No subject begins with a slash, so subjects and addresses never share a key. */
function keyOf(identity: Identity | undefined, address: string): string {
  return identity === undefined ? `/${rateKey(address)}` : identity.subject
}

/** An IPv6 client usually has a whole /64, so all its addresses share one key. */
function rateKey(address: string): string {
  return isIPv6(address) ? groupsOf(address).slice(0, 4).join(':') : address
}

/** An IPv4-mapped IPv6 address (`::ffff:192.0.2.7`) as IPv4; others unchanged. */
function plainAddress(address: string): string {
  if (!isIPv6(address)) return address
  const groups = groupsOf(address)
  const isMapped = groups.slice(0, 5).every((group) => group === '0') && groups[5] === 'ffff'
  if (!isMapped) return address
  const [high = 0, low = 0] = groups.slice(6).map((group) => Number.parseInt(group, 16))
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}

/** The eight groups of an IPv6 address, in lower-case hex without leading zeros. */
function groupsOf(address: string): string[] {
  const dotted = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)
  let text = address
  if (dotted !== null) {
    const [a = 0, b = 0, c = 0, d = 0] = dotted.slice(1).map(Number)
    text = `${address.slice(0, dotted.index)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  }
  const [head = '', tail] = text.split('::')
  const split = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const before = split(head)
  const after = tail === undefined ? [] : split(tail)
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0')
  const all = tail === undefined ? before : [...before, ...zeros, ...after]
  return all.map((group) => group.toLowerCase().replace(/^0+(?=.)/, ''))
}
