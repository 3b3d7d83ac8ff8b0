/**
 * The door of the state cluster for servers, the monitor, roles and tools.
 *
 * Invariant: production code outside this folder imports nothing else of it. The simulator, benches and tests, which
 * run the parts one by one, may import the rooms themselves; ARCHITECTURE.md lists which. Source: docs/style.md.
 */

export * from './cluster.ts'
export { connectCluster, type RemoteCluster, type RemoteClusterOptions } from './link/client/remote.ts'
export type { CountLink } from './link/client/retry-queue.ts'
export type { MemberRow } from './link/member-wire.ts'
export type * from './machine/commands.ts'
export type * from './machine/events.ts'
export { isPublic } from './machine/events.ts'
export { featureNameOf, knownFeatures } from './machine/features.ts'
export { settingsFault } from './machine/handlers/configure-house.ts'
export { termsFault } from './machine/terms.ts'
export type * from './machine/view.ts'
export { type Restored, type RestoreOptions, restoreBackup } from './node/backup.ts'
export { type DroppedEntry, dropEntry } from './node/drop-entry.ts'
export type { HostLoad, NodeRareEvent, StartProgress } from './node/host.ts'
export {
  clusterIdOf,
  type NodeGroupStatus,
  type NodeNote,
  openStateNode,
  type StateNode,
  type StateNodeOptions,
} from './node/node.ts'
export { type RebuildOptions, rebuildFolder } from './node/rebuild.ts'
export { type Recovered, recoverFolder } from './node/recover.ts'
export { openSingleNode, type SingleNode, type SingleNodeOptions } from './node/single-node.ts'
export { stallKinds } from './node/stall-watch.ts'
export { type ChangeOutcome, isRetryable, type MemberChange } from './replica/membership.ts'
export { snapshotReasons } from './replica/rare-events.ts'
export { defaultReplicaSettings, type ReplicaSettings } from './replica/settings.ts'
export type { DiskParts } from './storage/disk-parts.ts'
export { hasRoom } from './storage/lmdb-store.ts'
export { StoreError, type StoreErrorCode, type StoreStats } from './storage/store.ts'
