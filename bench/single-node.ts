/**
 * One replica on a real disk, for benches.
 *
 * It is in this process, with real Raft, in a temporary folder. Commands go in as a server sends them, and the outbox
 * is emptied as a publisher does it.
 *
 * Invariant: a refused command ends the bench; nothing is left of the folder.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Command, openSingleNode, type Reply, type SingleNode } from '../state-cluster/index.ts'
import { groupId, serverId } from './bids.ts'

const outboxPage = 1_000

export interface BenchNode {
  readonly cluster: SingleNode
  /** Rejects when the command is refused. */
  must(command: Command): Promise<Reply>
  emptyOutbox(): Promise<void>
}

/** Runs `measure` on a new replica whose server has enlisted. */
export async function onSingleNode<Result>(measure: (node: BenchNode) => Promise<Result>): Promise<Result> {
  const dataDir = mkdtempSync(join(tmpdir(), 'martillo-bench-'))
  const cluster = await openSingleNode({
    dataDir,
    onFatal(error) {
      throw error
    },
  })
  const must = (command: Command): Promise<Reply> =>
    cluster.propose(groupId, command).then((reply) => {
      if (!reply.ok) throw new Error(`${command.type} was refused: ${reply.code}`)
      return reply
    })
  try {
    const { epoch } = (await must({ type: 'enlist_server', serverId })) as Reply & { readonly epoch: number }
    const emptyOutbox = async (): Promise<void> => {
      for (;;) {
        const page = await cluster.outbox(groupId, serverId, 0, outboxPage)
        const positions = page.map(({ position }) => position)
        if (page.length > 0) await must({ type: 'acknowledge_positions', serverId, epoch, positions })
        if (page.length < outboxPage) return
      }
    }
    return await measure({ cluster, must, emptyOutbox })
  } finally {
    await cluster.close()
    rmSync(dataDir, { recursive: true })
  }
}
