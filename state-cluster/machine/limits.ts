/**
 * Every bound of the auction machine, by name. `apply` depends on them, so all replicas of a group must run
 * with the same ones: production takes `limits` as it stands; only tests lower them, to reach a bound cheaply.
 * What happens at each bound is in docs/spec.md, LIMIT rules. Source: DESIGN "bounded".
 */

const dayMs = 86_400_000

export interface Limits {
  /** Auctions of a group, ended ones included. At the bound `create_auction` is refused: `limit_exceeded`. */
  readonly auctionsMax: number
  /** At the bound a new buyer is refused: `limit_exceeded`. */
  readonly buyersMax: number
  /** At the bound a new server is refused: `limit_exceeded`. */
  readonly serversMax: number
  /** Distinct tags in use by auctions and interests. At the bound whatever brings a new one is refused. */
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
  /** No opening is scheduled beyond this (epoch ms). */
  readonly opensAtMsMax: number
  /** Soft close: window and extension. */
  readonly softCloseMsMax: number
  /** One `extend_auction`. */
  readonly extendMsMax: number
  /** House settings: threshold and minimum extension. */
  readonly outageMsMax: number
  /** No deadline lies beyond this (epoch ms); an extension that would pass it is `limit_exceeded`. */
  readonly closesAtMsMax: number

  /** One `conduct` works off at most this many auctions … */
  readonly conductBatchMax: number
  /** … and stops early once it has told this many bidders. */
  readonly conductToldMax: number

  /** A command that hands over a server's work moves at most this many outbox entries; auctions as `conductBatchMax`. */
  readonly moveOutboxMax: number
  /** An owner with a close this near pulses more often … */
  readonly outageNearMs: number
  /** … and a longer silence of it than this is an outage. */
  readonly outageNearThresholdMs: number
  /** A monitor's lease: shortest and longest. */
  readonly leaseMsMin: number
  readonly leaseMsMax: number

  /** How long a request id is remembered, by stamps. */
  readonly requestWindowMs: number
  /** Of one subject the latest so many request ids are remembered … */
  readonly requestsPerSubjectMax: number
  /** … and of the whole group the latest so many. */
  readonly requestsMax: number

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
  conductToldMax: 20_000,
  moveOutboxMax: 4_096,
  outageNearMs: 5_000,
  outageNearThresholdMs: 500,
  leaseMsMin: 100,
  leaseMsMax: 60_000,
  requestWindowMs: 600_000,
  requestsPerSubjectMax: 128,
  requestsMax: 500_000,
  outboxMax: 1_000_000,
}
