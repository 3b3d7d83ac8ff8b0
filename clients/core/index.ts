/**
 * The door of the client core: sessions over WebSockets, HTTP, amounts.
 * Invariant: it imports the protocol alone, so it runs wherever its ports (`ports.ts`) can be provided.
 */
export {
  type AmountNotation,
  type AmountRead,
  amountFault,
  amountText,
  formatAmount,
  parseAmount,
} from './amounts.ts'
export { isEnded } from './auction-state.ts'
export { type Codec, jsonCodec, msgpackCodec } from './codec.ts'
export { ClientError, type ClientErrorCode, ProblemError } from './errors.ts'
export {
  type AuctionAction,
  type BidPlacedBody,
  type ExpectedState,
  HouseHttp,
  type HouseHttpOptions,
} from './http.ts'
export { type Moment, parseMoment } from './moments.ts'
export type { Clock, Fetch, NewId, Random, Socket, SocketHandlers, Transport } from './ports.ts'
export { Session } from './session.ts'
export type {
  BidOutcome,
  BidRequest,
  BuyNowRequest,
  SessionEvents,
  SessionOptions,
  SessionReason,
  SessionState,
} from './session-types.ts'
export type { WatchEvent, WatchListener } from './watch.ts'
export { type WebSocketClass, webSocketTransport } from './websocket-transport.ts'
