/**
 * Every bound of the auction machine, by name.
 *
 * Production uses `limits` as it is; only tests lower them, to reach a bound cheaply. Leaves the behaviour at a bound
 * to the code that checks it.
 *
 * Invariant: all replicas of a group apply with the same limits, because results depend on them.
 * Source: docs/spec.md LIMIT1–LIMIT3, REQUEST3, REQUEST4, REQUEST7, REQUEST8, OWNER3, OWNER7, OUTBOX4; docs/design.md, "bounded".
 */
const dayMs = 86_400_000

/** The last stamp that is accepted (epoch ms), so that every sum of a stamp and durations is still a date. */
export const stampMsMax = 4_000_000_000_000_000

export interface Limits {
  /** Auctions of a group, ended ones included. At the bound `create_auction` is refused: `limit_exceeded`. */
  readonly auctionsMax: number
  /** At the bound a new buyer is refused: `limit_exceeded`. */
  readonly buyersMax: number
  /** At the bound a new server is refused: `limit_exceeded`. */
  readonly serversMax: number
  /** Distinct tags in use by auctions and interests. At the bound a command that brings a new one is refused. */
  readonly distinctTagsMax: number
  /** Bidders of one auction. At the bound a bid of a new bidder is refused: `limit_exceeded`. */
  readonly biddersMax: number

  /** Beyond these `create_auction` and `register_buyer` are refused: `terms_invalid`. Lengths in UTF-16 units. */
  readonly tagsPerAuctionMax: number
  readonly interestsMax: number
  readonly tagLengthMax: number
  readonly titleLengthMax: number
  readonly nameLengthMax: number
  readonly endpointLengthMax: number
  readonly itemLengthMax: number
  readonly durationMsMax: number
  /** The last opening time (epoch ms). */
  readonly opensAtMsMax: number
  /** Soft close: window and extension. */
  readonly softCloseMsMax: number
  /** One `extend_auction`. */
  readonly extendMsMax: number
  /** House settings: threshold and minimum extension. */
  readonly outageMsMax: number
  /** The last deadline (epoch ms); an extension that would pass it is `limit_exceeded`. */
  readonly closesAtMsMax: number

  /** One `conduct` handles at most this many auctions … */
  readonly conductBatchMax: number
  /** … and stops early once it has made this many events. */
  readonly conductEventsMax: number

  /** A command that hands over moves at most this many outbox entries; for auctions, `conductBatchMax` holds. */
  readonly moveOutboxMax: number
  /** An owner with a close this near pulses more often … */
  readonly outageNearMs: number
  /** … and its pulse timeout is at least this, if the house's threshold is not shorter. */
  readonly outageNearThresholdMs: number
  /** A monitor's lease: shortest and longest. */
  readonly leaseMsMin: number
  readonly leaseMsMax: number

  /** How long a request id is remembered, by stamps. */
  readonly requestWindowMs: number
  /** The number of latest request ids that are remembered of one subject … */
  readonly requestsPerSubjectMax: number
  /** … and of the whole group. */
  readonly requestsMax: number
  /** The same for refused requests, which are remembered apart. */
  readonly refusalsPerSubjectMax: number
  readonly refusalsMax: number
  /** A command that was repeated is applied at most this long after its sender measured `ageMs`. */
  readonly requestTransitMs: number
  /** The same where only later requests of its own sender can displace it: they mostly come after it, in order. */
  readonly requestOwnTransitMs: number

  /** Subjects whose tokens are revoked singly. At the bound a further one is refused: `limit_exceeded`. */
  readonly revokedSubjectsMax: number
  /** How long a revocation is kept: no token lives longer. */
  readonly tokenLifeMsMax: number

  /** With this many outbox entries waiting, NEW_BID and OUTBID are counted and no longer queued. */
  readonly outboxMax: number
}

export const limits: Limits = {
  auctionsMax: 2_000_000,
  buyersMax: 1_000_000,
  serversMax: 1_024,
  distinctTagsMax: 200_000,
  biddersMax: 10_000,
  tagsPerAuctionMax: 32,
  interestsMax: 64,
  tagLengthMax: 64,
  titleLengthMax: 512,
  nameLengthMax: 512,
  endpointLengthMax: 2_048,
  itemLengthMax: 65_536,
  durationMsMax: 366 * dayMs,
  opensAtMsMax: 253_402_300_799_999,
  softCloseMsMax: dayMs,
  extendMsMax: 366 * dayMs,
  outageMsMax: dayMs,
  closesAtMsMax: 8_640_000_000_000_000,
  conductBatchMax: 512,
  conductEventsMax: 20_000,
  moveOutboxMax: 4_096,
  outageNearMs: 5_000,
  outageNearThresholdMs: 500,
  leaseMsMin: 100,
  leaseMsMax: 60_000,
  requestWindowMs: 600_000,
  requestsPerSubjectMax: 1_024,
  requestsMax: 500_000,
  refusalsPerSubjectMax: 16,
  refusalsMax: 50_000,
  requestTransitMs: 15_000,
  requestOwnTransitMs: 5_000,
  revokedSubjectsMax: 1_000,
  tokenLifeMsMax: 400 * dayMs,
  outboxMax: 1_000_000,
}
