/**
 * What is rare in a replica and worth a count and a log line.
 *
 * A replica reports each through one port, when it happens. Invariant: the labels of an event are the closed lists
 * here; nothing that a client sends is among them. Counting and logging are done by node.ts and the roles.
 * Source: docs/spec.md RARE1.
 */

/**
 * Why a member gets a snapshot: the log no longer reaches it, it holds nothing yet, or the transfer before this one
 * broke.
 */
export const snapshotReasons = ['compacted', 'new_member', 'broken'] as const
export type SnapshotReason = (typeof snapshotReasons)[number]

export type RareEvent =
  | {
      readonly type: 'snapshot_sent'
      readonly to: number
      readonly index: number
      readonly reason: SnapshotReason
    }
  | { readonly type: 'snapshot_broken'; readonly to: number; readonly index: number; readonly cause: string }
  | { readonly type: 'snapshot_installed'; readonly index: number; readonly reason: SnapshotReason }
  /** It asks for votes. */
  | { readonly type: 'campaign'; readonly term: number }
  | { readonly type: 'elected'; readonly term: number }
  /** It asked another member to lead. */
  | { readonly type: 'handover'; readonly to: number }
  /** Commands whose callers cannot know whether they count. */
  | { readonly type: 'unknown_outcomes'; readonly count: number }
