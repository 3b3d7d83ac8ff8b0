/**
 * The cluster in this process: every group has one replica, here, and its only voter. What it stores is what any
 * other cluster stores, so that a folder made by `martillo start` can grow into more nodes.
 * Invariant: resolved means that commands are taken: the state is loaded and the log after it replayed.
 */
import { randomBytes } from 'node:crypto'
import { assert } from '../../runtime/assert.ts'
import { type Cluster, ClusterError } from '../cluster.ts'
import { newConfState } from '../raft/index.ts'
import type { DiskParts } from '../storage/disk-parts.ts'
import { newIncarnation } from '../storage/meta.ts'
import { StoreError } from '../storage/store.ts'
import { type HostKind, type HostLoad, type HostOptions, type HostTransport, openHost } from './host.ts'

export interface SingleNodeOptions extends HostOptions {
  /** Of a new cluster, 1 to 1024; default 1. An existing one keeps the number that it was made with. */
  readonly groupCount?: number
}

export interface SingleNode extends Cluster {
  readonly clusterId: string
  load(): HostLoad
  diskParts(): Promise<DiskParts>
}

const nodeId = 1

/**
 * Opens the folder and resolves when commands are taken: after the checkpoint was loaded and the log after it
 * replayed. Rejects with StoreError, whose message is for the operator: `folder_in_use`, `disk_read_only`,
 * `disk_full`, `disk_failed`, `corrupt`, `foreign_data`.
 */
export async function openSingleNode(options: SingleNodeOptions): Promise<SingleNode> {
  const host = await openHost(options, aloneIn(options))
  try {
    host.start(false)
    await host.whenLeading()
    return host
  } catch (error) {
    await host.close()
    // A replica that failed while it was opened gives the reason as its cause.
    throw error instanceof ClusterError && error.cause instanceof Error ? error.cause : error
  }
}

function aloneIn({ dataDir, groupCount = 1 }: SingleNodeOptions): HostKind {
  return {
    birth: () => ({
      meta: {
        clusterId: randomBytes(16).toString('hex'),
        nodeId,
        groupCount,
        incarnation: newIncarnation(),
        isFounding: false,
      },
      position: { index: 1, term: 1, confState: newConfState([nodeId]) },
      members: new Map(),
    }),
    check(meta) {
      if (meta.nodeId === nodeId) return
      const text = `${dataDir} belongs to node ${meta.nodeId} of cluster ${meta.clusterId}`
      throw new StoreError('foreign_data', `${text}, which has others: start it as a node of its cluster`)
    },
    transport: () => nobody,
  }
}

const nobody: HostTransport = {
  send(): void {
    assert(false, 'a replica that is alone has nobody to send to')
  },
  sendSnapshot() {
    assert(false, 'a replica that is alone has nobody to send to')
  },
  sendClocks(): void {
    assert(false, 'a node that is alone has nobody to compare clocks with')
  },
}
