/**
 * Identifiers of the public contract, branded so that kinds cannot be confused.
 * All are strings outside and inside; only `GroupId` (which Raft group holds an auction) is an integer.
 * Invariant: a branded id has passed `isId` at the edge, so it is 1 to 128 characters of [A-Za-z0-9._:@-]; a
 * request id, which names nothing but its request, has passed `isRequestId`.
 * Source: docs/protocol.md, "Values".
 */

declare const brand: unique symbol
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name }

export type AuctionId = Branded<string, 'AuctionId'>
/** The subject of a token (`sub`): a bidder, a seller, a buyer. */
export type SubjectId = Branded<string, 'SubjectId'>
/** Chosen by a client for one bid or one HTTP request; a retry carries the same one. */
export type RequestId = Branded<string, 'RequestId'>
/** A server process that conducts auctions. */
export type ServerId = Branded<string, 'ServerId'>
/** A Raft group, 0 to 65535. */
export type GroupId = Branded<number, 'GroupId'>

export const idLengthMax = 128

const idShape = /^[A-Za-z0-9._:@-]{1,128}$/

const requestIdShape = /^[\x20-\x7e]{1,128}$/

/** Whether a string may serve as an id of any kind: 1 to 128 characters of `[A-Za-z0-9._:@-]`. */
export function isId(value: unknown): value is string {
  return typeof value === 'string' && idShape.test(value)
}

/** Whether a string may serve as a request id: 1 to 128 printable characters of ASCII, so that base64 will do. */
export function isRequestId(value: unknown): value is string {
  return typeof value === 'string' && requestIdShape.test(value)
}
