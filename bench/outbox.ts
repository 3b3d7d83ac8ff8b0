/**
 * Empties a server's outbox as a publisher does: reads a page, then acknowledges its positions. Invariant: what is
 * acknowledged was read before, so no entry is skipped.
 */
import type { GroupId, ServerId } from '../protocol/ids.ts'
import type { Cluster } from '../state-cluster/index.ts'

const pageLength = 1_000

/** Rejects when a command is refused. */
export async function emptyOutbox(
  cluster: Pick<Cluster, 'outbox' | 'propose'>,
  groupId: GroupId,
  serverId: ServerId,
  epoch: number,
): Promise<void> {
  for (;;) {
    const page = await cluster.outbox(groupId, serverId, 0, pageLength)
    if (page.length === 0) return
    const positions = page.map(({ position }) => position)
    const reply = await cluster.propose(groupId, {
      type: 'acknowledge_positions',
      serverId,
      epoch,
      positions,
    })
    if (!reply.ok) throw new Error(`acknowledge_positions was refused: ${reply.code}`)
    if (page.length < pageLength) return
  }
}
