/**
 * `martillo state members | join | leave | replace | rebuild`: changes the members of a running cluster.
 * It sends the change to the leader of each group in turn and repeats it until the members are as requested.
 * Invariant: each verb may be repeated, and continues where the last run ended. A refusal ends it with the leader's
 * reason; the changes before it stay. Source: docs/spec.md MEMBER1 to MEMBER4, REBUILD1.
 */
import { randomBytes } from 'node:crypto'
import type { GroupId } from '../../protocol/ids.ts'
import { sleep, systemClock } from '../../runtime/clock.ts'
import { ConfigError, type LoadedConfig } from '../../runtime/config.ts'
import {
  connectCluster,
  isRetryable,
  type MemberChange,
  type MemberRow,
  type RemoteCluster,
  rebuildFolder,
} from '../../state-cluster/index.ts'
import type { Address } from '../../wire/stream.ts'
import { tcpDial } from '../../wire/tcp.ts'
import { systemTiming } from '../../wire/timing.ts'
import {
  addressOf,
  roleSection,
  secretSection,
  stateNodesOf,
  stateNodesSection,
  tcpOptionsOf,
  tlsSection,
} from '../settings.ts'
import { memberOf } from '../state.ts'

export const memberSections = {
  process: roleSection,
  link: stateNodesSection,
  secret: secretSection,
  tls: tlsSection,
}

export type MemberVerb =
  | { readonly verb: 'members' }
  /** `member`: `4=host:port`. */
  | { readonly verb: 'join'; readonly member: string }
  | { readonly verb: 'leave'; readonly nodeId: string }
  | { readonly verb: 'replace'; readonly nodeId: string; readonly member: string }
  /** `at`: `host:port`, where the node is no member any more. */
  | {
      readonly verb: 'rebuild'
      readonly nodeId: string
      readonly dataDir: string
      readonly at: string | undefined
    }

/** The cluster refused the change, or did not complete it in time. */
export class MembershipError extends Error {
  readonly code = 'membership_refused'
  readonly retryable = false
}

export type GroupMembers = readonly { readonly groupId: GroupId; readonly members: readonly MemberRow[] }[]

/** What the certificate of an operator's command must name. */
const toolPrincipal = 'tool:members'

const pollMs = 200
const patienceMs = 120_000

/** Resolves with the members as they are then. Rejects with MembershipError, ConfigError or ClusterError. */
export async function runMemberVerb(
  verb: MemberVerb,
  config: LoadedConfig<typeof memberSections>,
  say: (text: string) => void,
): Promise<GroupMembers> {
  const cluster = await connectCluster({
    nodes: stateNodesOf(config.link),
    dial: tcpDial(await tcpOptionsOf(config)),
    timing: systemTiming,
    instance: `members.${randomBytes(4).toString('hex')}`,
    principal: toolPrincipal,
  })
  const client = new MembershipClient(cluster, say)
  try {
    if (verb.verb === 'join') await client.join(newMember(verb.member))
    // The old one leaves by the change that makes the new one a voter, unless that had been added before.
    if (verb.verb === 'replace') {
      await client.join({ ...newMember(verb.member), replaces: nodeIdOf(verb.nodeId) })
    }
    if (verb.verb === 'leave' || verb.verb === 'replace') await client.leave(nodeIdOf(verb.nodeId))
    if (verb.verb === 'rebuild') await client.rebuild(nodeIdOf(verb.nodeId), verb.dataDir, verb.at)
    return await client.members()
  } finally {
    await cluster.close()
  }
}

interface NewMember {
  readonly nodeId: number
  readonly address: Address
  /** The voter that leaves when this node becomes one. */
  readonly replaces?: number
}

function newMember(text: string): NewMember {
  const member = memberOf(text)
  if (member === undefined) throw new ConfigError([`a member is number=host:port, not ${text}`])
  const [nodeId, address] = member
  return { nodeId, address }
}

function nodeIdOf(text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new ConfigError([`a node is a number from 1, not ${text}`])
  return Number(text)
}

/** Changes members group by group. */
class MembershipClient {
  readonly #cluster: RemoteCluster
  readonly #say: (text: string) => void
  /** Why the last requested change was not made. */
  #lastReason = ''

  constructor(cluster: RemoteCluster, say: (text: string) => void) {
    this.#cluster = cluster
    this.#say = say
  }

  async members(): Promise<GroupMembers> {
    const { groups } = this.#cluster
    return await Promise.all(
      groups.map(async (groupId) => ({ groupId, members: await this.#cluster.members(groupId) })),
    )
  }

  /** The node gets an empty folder and its former membership. */
  async rebuild(nodeId: number, dataDir: string, at: string | undefined): Promise<void> {
    const { clusterId, groups } = this.#cluster
    const given = at === undefined ? undefined : addressOf(at)
    if (at !== undefined && given === undefined) throw new ConfigError([`--at is host:port, not ${at}`])
    const address = given ?? (await this.#addressOf(nodeId))
    const aside = await rebuildFolder({
      dataDir,
      nodeId,
      clusterId,
      groupCount: groups.length,
      nowMs: systemClock.nowMs(),
      leave: () => this.leave(nodeId),
      join: async (incarnation) => {
        for (const groupId of groups) {
          await this.#until(`node ${nodeId} is a member of group ${groupId}`, async () => {
            const members = await this.#cluster.members(groupId)
            if (members.some((member) => member.nodeId === nodeId)) return true
            await this.#change(groupId, { type: 'add', nodeId, ...address, incarnation })
            return false
          })
        }
      },
    })
    if (aside !== undefined) this.#say(`the node's former folder is ${aside}: remove it when all is well`)
    this.#say(`start node ${nodeId} again as before: it votes when it has caught up`)
  }

  async #addressOf(nodeId: number): Promise<Address> {
    for (const { members } of await this.members()) {
      const found = members.find((member) => member.nodeId === nodeId && member.address.port > 0)
      if (found !== undefined) return found.address
    }
    throw new ConfigError([`node ${nodeId} is not a member: give its address, --at host:port`])
  }

  /** Resolves when the node votes in every group. */
  async join({ nodeId, address, replaces }: NewMember): Promise<void> {
    for (const groupId of this.#cluster.groups) {
      let said = false
      await this.#until(`node ${nodeId} votes in group ${groupId}`, async () => {
        const found = (await this.#cluster.members(groupId)).find((member) => member.nodeId === nodeId)
        if (found?.role === 'voter') return true
        if (found === undefined) {
          const voter = replaces !== undefined && { replaces }
          await this.#change(groupId, { type: 'add', nodeId, ...address, ...voter })
        } else if (!said) {
          this.#say(`node ${nodeId} learns group ${groupId}`)
          said = true
        }
        return false
      })
      this.#say(`node ${nodeId} votes in group ${groupId}`)
    }
  }

  async leave(nodeId: number): Promise<void> {
    for (const groupId of this.#cluster.groups) {
      await this.#until(`node ${nodeId} has left group ${groupId}`, async () => {
        const members = await this.#cluster.members(groupId)
        if (!members.some((member) => member.nodeId === nodeId)) return true
        await this.#change(groupId, { type: 'remove', nodeId })
        return false
      })
      this.#say(`node ${nodeId} has left group ${groupId}`)
    }
  }

  /** Requests a change; a refusal that may pass is left to the next attempt. */
  async #change(groupId: GroupId, change: MemberChange): Promise<void> {
    const outcome = await this.#cluster.changeMembers(groupId, change)
    this.#lastReason = outcome.ok ? '' : outcome.reason
    if (!outcome.ok && !isRetryable(outcome.code)) throw new MembershipError(`refused: ${outcome.reason}`)
  }

  async #until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const { clock } = systemTiming
    const endMs = clock.monotonicMs() + patienceMs
    while (!(await isSo())) {
      if (clock.monotonicMs() > endMs) {
        const why = this.#lastReason === '' ? 'does it run, and reach the others?' : this.#lastReason
        throw new MembershipError(`waited in vain until ${what}: ${why}`)
      }
      await sleep(clock, pollMs)
    }
  }
}
