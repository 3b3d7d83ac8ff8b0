/**
 * Installs a snapshot whose rows have arrived.
 *
 * It installs members, rows and history, and then the state that they make.
 * Invariant: what `begin` gives is committed together with the new log, so that a crash is followed by a start from
 * before or, through `finishInstall`, from after; the state that `finish` gives is loaded from what is durable.
 * How rows arrive is up to snapshot-arrival.ts, the log to log-writer.ts.
 * Source: docs/raft.md, the caller's duty 4; docs/spec.md SNAP2 to SNAP4.
 */
import type { GroupId } from '../../protocol/ids.ts'
import type { Timing } from '../../wire/timing.ts'
import { finishInstall, writeOfInstalling } from '../storage/incoming-snapshot.ts'
import { type Members, writeOfMembers } from '../storage/member-record.ts'
import type { Store } from '../storage/store.ts'
import { AppliedState, type Machine } from './applied-state.ts'
import type { SnapshotInstaller } from './log-writer.ts'
import type { SnapshotArrival } from './snapshot-arrival.ts'
import { headOf } from './snapshot-head.ts'

export interface InstalledState {
  readonly applied: AppliedState
  readonly members: Members
}

export interface SnapshotInstallerOptions {
  readonly store: Store
  readonly groupId: GroupId
  readonly arrival: SnapshotArrival
  readonly machine: Machine | undefined
  readonly afterTurn: Timing['afterTurn']
}

export function snapshotInstaller({
  store,
  groupId,
  arrival,
  machine,
  afterTurn,
}: SnapshotInstallerOptions): SnapshotInstaller<InstalledState> {
  let members: Members = new Map()
  return {
    begin(snapshot) {
      if (!arrival.hasArrived) throw new Error('a snapshot is installed when its rows have arrived')
      const head = headOf(snapshot)
      members = head.members
      const writes = [writeOfMembers(groupId, members), writeOfInstalling(groupId, head.position)]
      return { position: head.position, writes }
    },
    async finish() {
      await finishInstall(store, groupId)
      const applied = await AppliedState.open({ store, groupId, machine, afterTurn })
      arrival.done()
      return { applied, members }
    },
  }
}
