/**
 * Bounds of the public contract: sizes, counts and ranges of frames and bodies.
 * Invariant: input within these bounds fits the machine's own; nothing unbounded passes the edge. Rates and numbers
 * of sockets are the server's settings, not the contract's. Source: docs/protocol.md, "HTTP", "WebSocket";
 * docs/design.md, "bounded".
 */

/** Client frames, either subprotocol, in bytes of payload. A bigger one is an error and ends the socket with 1009. */
export const frameBytesMax = 16 * 1024
/**
 * Bytes of a message that are read so that its socket can end with 1009; a bigger one is cut off. It is also what a
 * socket can hold of a message that it never finishes.
 */
export const messageBytesMax = 4 * frameBytesMax
/** HTTP request bodies in bytes; a bigger one is answered 413. */
export const bodyBytesMax = 64 * 1024
/** Bytes of a request that are read away so that its sender gets to read the 413; beyond, it is cut off. */
export const discardedBytesMax = 32 * 1024 * 1024
/** Levels of arrays and objects in a frame or body. */
export const depthMax = 16
/** The same for what the house sends: an auction's `item` is a few levels deeper there than in a request. */
export const answerDepthMax = 24
/** Of a client frame's `id`, in UTF-16 units, when it is a string. */
export const frameIdLengthMax = 128

export const titleLengthMax = 200
export const nameLengthMax = 200
export const tagLengthMax = 64
export const tagsPerAuctionMax = 16
export const interestsMax = 32
export const endpointLengthMax = 2048
/** Of an auction's `item`, as JSON text, in UTF-16 units. */
export const itemLengthMax = 8 * 1024
/** All headers of a request, in bytes: a token of the longest kind fits, in `Authorization` and as a subprotocol. */
export const headerBytesMax = 32 * 1024
/** Of a token that a client presents. */
export const tokenLengthMax = 8 * 1024

const dayMs = 24 * 60 * 60 * 1000
/** Of an auction, and of one extension. */
export const durationMsMax = 366 * dayMs
/** The earliest opening that can be meant: the year 2000. Seconds of any date up to the year 9999 are less. */
export const timestampMsMin = 946_684_800_000
/** How far ahead an opening may be scheduled, counted from 1970: the year 9999. Microseconds since 2000 are more. */
export const timestampMsMax = 253_402_300_799_999
export const softCloseMsMax = dayMs
export const softCloseLimitMax = 10_000
/** Of a token that the house issues. */
export const tokenTtlSecondsMax = 366 * 24 * 60 * 60

/** Bytes of one page of a listing, from which on it ends early with a `next`. */
export const pageBytesMax = 1024 * 1024
/** Entries of one page of a listing. */
export const pageLimitMax = 1000
export const pageLimitDefault = 100

/** More missed events than this are not replayed: a resuming subscriber gets a snapshot instead. */
export const resumedEventsMax = 10_000
