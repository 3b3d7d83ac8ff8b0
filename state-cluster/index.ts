/**
 * The only door of the state cluster: what servers, monitor, notifier and tools may know of it. Invariant: nobody
 * outside this folder imports past this file. Source: STYLE "The house".
 */
export { type Restored, type RestoreOptions, restoreBackup } from './backup.ts'
export * from './cluster.ts'
export type { HostLoad, StartProgress } from './host.ts'
export type { ChangeOutcome, MemberRow } from './link/member-wire.ts'
export { connectCluster, type RemoteCluster, type RemoteClusterOptions } from './link/remote.ts'
export { type LocalCluster, type LocalClusterOptions, openLocalCluster } from './local.ts'
export type * from './machine/commands.ts'
export type * from './machine/events.ts'
export { featureNameOf, knownFeatures } from './machine/features.ts'
export type * from './machine/view.ts'
export type { MemberChange } from './membership.ts'
export {
  clusterIdOf,
  type NodeGroupStatus,
  type NodeNote,
  openStateNode,
  type StateNode,
  type StateNodeOptions,
} from './node.ts'
export { type RebuildOptions, rebuildFolder } from './rebuild.ts'
export { type Recovered, recoverFolder } from './recover.ts'
export type { ReplicaSettings } from './replica-settings.ts'
export type { DiskParts } from './storage/disk-parts.ts'
export { hasRoom } from './storage/lmdb-store.ts'
export { StoreError, type StoreErrorCode, type StoreStats } from './storage/store.ts'
export { type Frame, FrameDecoder, frameParts } from './transport/frame.ts'
export {
  type Address,
  type ByteStream,
  type Dial,
  formatAddress,
  type Listen,
  parseAddress,
} from './transport/stream.ts'
export { type TcpOptions, type TlsIdentity, tcpDial, tcpListen } from './transport/tcp.ts'
export { systemTiming } from './transport/timing.ts'
export { Fields, packTuple, unpackTuple } from './transport/tuples.ts'
