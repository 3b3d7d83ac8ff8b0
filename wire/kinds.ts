/**
 * The kinds of frames, one table for everything that travels between our processes. Invariant: a number, once
 * released, keeps its meaning for ever; 0 is never used.
 */

export const frameKinds = {
  /** The first frame of each side. */
  greeting: 1,
  /** Why the other side is not talked to; the last frame of a refused connection. */
  refusal: 2,
  /** A sign of life, sent when nothing else was. */
  ping: 3,
  /** From a server to a monitor: it stops as planned. */
  farewell: 4,
  /** That the dialler has the cluster secret. */
  proof: 5,
  /** Who speaks, with its proof. */
  hello: 6,

  raft: 16,
  snapshotBegin: 17,
  snapshotChunk: 18,
  snapshotEnd: 19,
  /** From the receiver: chunks up to here are stored, more may come. */
  snapshotCredit: 20,
  /** From the receiver: all is stored and checked. */
  snapshotDone: 21,
  /** From either side. */
  snapshotAbort: 22,
  /** What the sender's state of a group hashes to as of an index. */
  stateHash: 23,
  /** The receiver's incarnation, which the sender will not forget any more. */
  acquainted: 24,
  /** The sender's clocks, and house time as it knows it. */
  clocks: 25,
  /** From the sender: a question about what the receiver has already; it waits for the answer. */
  snapshotQuestion: 26,
  snapshotAnswer: 27,

  /** From the state node, first on a link: the groups of this cluster. */
  linkWelcome: 32,
  linkRequest: 33,
  linkReply: 34,
  linkFeed: 35,
  linkGap: 36,
  /** Who leads a group, as the state node knows it. */
  linkLeader: 37,

  /** From a server to a monitor: it lives, with its load. */
  heartbeat: 48,
} as const

export type FrameKind = (typeof frameKinds)[keyof typeof frameKinds]
