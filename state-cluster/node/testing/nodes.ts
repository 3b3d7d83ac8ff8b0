/**
 * State nodes in this process, on real LMDB and loopback sockets.
 *
 * For tests. Each node has a folder and a port that it keeps.
 * Invariant: `close` ends all that was opened and removes the folders; nothing here sleeps for a fixed time.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Address } from '../../../wire/stream.ts'
import { type TcpOptions, tcpDial } from '../../../wire/tcp.ts'
import { systemTiming } from '../../../wire/timing.ts'
import { connectCluster, openStateNode, type RemoteCluster, type StateNode } from '../../index.ts'
import type { StateNodeOptions } from '../node.ts'

export type TestMembers = Map<number, Address>

export class NodeBench {
  readonly folder = mkdtempSync(join(tmpdir(), 'martillo-node-'))
  readonly #opened: { close(): Promise<void> }[] = []

  async membersOf(count: number): Promise<TestMembers> {
    const members: TestMembers = new Map()
    for (let nodeId = 1; nodeId <= count; nodeId++)
      members.set(nodeId, { host: '127.0.0.1', port: await freePort() })
    return members
  }

  dataDirOf(nodeId: number): string {
    return join(this.folder, `node-${nodeId}`)
  }

  async open(nodeId: number, members: TestMembers, more: Partial<StateNodeOptions> = {}): Promise<StateNode> {
    const node = await openStateNode({
      dataDir: this.dataDirOf(nodeId),
      nodeId,
      listen: members.get(nodeId) as Address,
      members,
      cluster: 'test',
      groupCount: 3,
      note: () => undefined,
      onFatal(error) {
        throw error
      },
      ...more,
    })
    this.#opened.push(node)
    return node
  }

  async link(members: TestMembers, principal = 'tool:test', tcp: TcpOptions = {}): Promise<RemoteCluster> {
    const remote = await connectCluster({
      nodes: [...members.values()],
      dial: tcpDial(tcp),
      timing: systemTiming,
      instance: 'test',
      principal,
    })
    this.#opened.push(remote)
    return remote
  }

  async close(): Promise<void> {
    for (const one of this.#opened.reverse()) await one.close()
    rmSync(this.folder, { recursive: true })
  }
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Resolves when the condition holds; the test's own time limit ends a wait that is in vain. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10))
}

/** What the states of all groups hash to, and as of which entry. */
export const hashesOf = (node: StateNode): string =>
  node
    .status()
    .groups.map(({ appliedIndex, stateHash }) => `${appliedIndex} ${stateHash}`)
    .join(', ')
