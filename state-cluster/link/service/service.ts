/**
 * The side of the cluster link in a state node.
 *
 * It serves the connections of role `link` from a `LinkBackend`, keeps the recent feed of each group, and sends every
 * client the leader of each group. The queues of one client are in link-session.ts. Invariant: one request proposes
 * its commands once; every request is answered once, unless its connection ends; a read is never older than the index
 * that it asks for. Source: docs/spec.md LINK1 to LINK12.
 */
import type { GroupId } from '../../../protocol/ids.ts'
import type { Clock } from '../../../runtime/clock.ts'
import type { RoleOwner } from '../../../wire/acceptor.ts'
import type { Connection, ConnectionHandlers } from '../../../wire/connection.ts'
import type { TransportError } from '../../../wire/errors.ts'
import { frameBytesMax } from '../../../wire/frame.ts'
import { type Hello, principalOf, type Refusal } from '../../../wire/handshake.ts'
import { frameKinds } from '../../../wire/kinds.ts'
import type { Timing } from '../../../wire/timing.ts'
import { malformed } from '../../../wire/tuples.ts'
import { ClusterError } from '../../cluster.ts'
import { groupOf } from '../../groups.ts'
import { type ChangeOutcome, type MemberChange, refused } from '../../replica/membership.ts'
import type { LinkBackend } from '../backend.ts'
import { type MemberRow, memberRowFields, outcomeFields } from '../member-wire.ts'
import { groupsOfScope, readOfCode } from '../reads.ts'
import {
  encodeDone,
  encodeFailure,
  encodeFeed,
  encodeLeader,
  encodeProposeDone,
  encodeReadDone,
  encodeStatusDone,
  encodeWelcome,
  failureOf,
  type GroupIndex,
  type Request,
} from '../wire.ts'
import { AppliedWaits } from './applied-waits.ts'
import { FeedRing } from './feed-ring.ts'
import { faultOf, LinkSession, type LinkSessionOwner } from './link-session.ts'

export interface LinkServiceOptions {
  readonly backend: LinkBackend
  readonly timing: Timing
  /** Bytes of recent feed kept for each group. Default 16 MiB. */
  readonly feedBytesMax?: number
  /** How long a read waits until its index is applied. Default 1 s. */
  readonly freshWaitMs?: number
  /** Most clients at one time. Default 256. */
  readonly sessionsMax?: number
  /** Absent: members can be neither read nor changed over this link. */
  readonly members?: MembershipAdmin
  /** Logs a client that broke the protocol, or could not be answered (`answer_failed`). */
  readonly fault: (remote: string, cause: TransportError) => void
}

/** Reads and changes the members of a group. Only the group's leader does. */
export interface MembershipAdmin {
  /** `undefined`: this node does not lead the group. */
  members(groupId: GroupId): readonly MemberRow[] | undefined
  /** `undefined`: this node does not lead the group. */
  change(groupId: GroupId, change: MemberChange): Promise<ChangeOutcome | undefined>
}

const defaults = { feedBytesMax: 16 * 1024 * 1024, freshWaitMs: 1_000, sessionsMax: 256 }

/** Room in a frame besides the answer of a read. */
const answerMarginBytes = 64 * 1024

interface Group {
  readonly ring: FeedRing
  readonly waits: AppliedWaits
  readonly endWatch: () => void
}

export class LinkService implements RoleOwner, LinkSessionOwner {
  readonly #backend: LinkBackend
  readonly #options: Required<Omit<LinkServiceOptions, 'members'>> & Pick<LinkServiceOptions, 'members'>
  readonly #groups = new Map<GroupId, Group>()
  readonly #sessions = new Set<LinkSession>()
  #closed = false

  constructor(options: LinkServiceOptions) {
    this.#backend = options.backend
    this.#options = { ...defaults, ...options }
    for (const groupId of this.#backend.groups) this.#groups.set(groupId, this.#watch(groupId))
  }

  get clock(): Clock {
    return this.#options.timing.clock
  }

  get sessionCount(): number {
    return this.#sessions.size
  }

  /** Requests of all clients that are being answered. */
  get requestsInFlight(): number {
    return sumOf(this.#sessions, (session) => session.requestsInFlight)
  }

  /** Unsent bytes of all clients. */
  get waitingBytes(): number {
    return sumOf(this.#sessions, (session) => session.waitingBytes)
  }

  /** Closes every session; its client sends unanswered requests to another node. */
  close(): void {
    this.#closed = true
    for (const { endWatch, waits } of this.#groups.values()) {
      endWatch()
      waits.close()
    }
    for (const session of [...this.#sessions]) session.close()
  }

  // ── Connections ──────────────────────────────────────────────────────────────────────────────────────

  admit(): Refusal | undefined {
    if (this.#closed) return { code: 'stopping', reason: 'this node is stopping' }
    const { sessionsMax } = this.#options
    if (this.#sessions.size < sessionsMax) return undefined
    return { code: 'too_many_connections', reason: `${sessionsMax} link clients are connected` }
  }

  opened(connection: Connection, theirs: Hello): ConnectionHandlers {
    const session = new LinkSession(connection, principalOf(theirs), this)
    try {
      this.#greet(session)
    } catch (thrown) {
      const fault = faultOf(thrown)
      this.#options.fault(connection.remote, fault)
      throw fault
    }
    this.#sessions.add(session)
    return session
  }

  #greet(session: LinkSession): void {
    const { groups } = this.#backend
    session.push(frameKinds.linkWelcome, encodeWelcome({ groups, members: this.#backend.members() }))
    for (const groupId of groups) {
      session.push(frameKinds.linkLeader, encodeLeader(groupId, this.#backend.leader(groupId)))
    }
  }

  ended(session: LinkSession, cause: TransportError): void {
    this.#sessions.delete(session)
    if (cause.code !== 'closed' && cause.code !== 'stopped') this.#options.fault(session.remote, cause)
  }

  // ── Feeds and leaders of the replicas ────────────────────────────────────────────────────────────────

  ring(groupId: GroupId): FeedRing | undefined {
    return this.#groups.get(groupId)?.ring
  }

  #watch(groupId: GroupId): Group {
    const applied = this.#backend.appliedIndex(groupId)
    const ring = new FeedRing(this.#options.feedBytesMax, applied)
    const waits = new AppliedWaits(this.#options.timing.clock, applied)
    const endWatch = this.#backend.watch(groupId, {
      batch: (batch) => {
        const body = encodeFeed(batch)
        // A batch that does not fit a frame becomes a gap: clients read the state again.
        if (body.length < frameBytesMax) ring.push(batch.index, body)
        else ring.restart(batch.index)
        this.#pump(groupId)
      },
      applied: (index) => waits.reached(index),
      gap: (index) => {
        ring.restart(index)
        this.#pump(groupId)
        waits.reached(index)
      },
      leader: (view) => {
        const body = encodeLeader(groupId, view)
        for (const session of [...this.#sessions]) {
          // A client without room is closed: it gets the leaders again when it reconnects.
          if (!session.push(frameKinds.linkLeader, body)) session.close()
        }
      },
    })
    return { ring, waits, endWatch }
  }

  #pump(groupId: GroupId): void {
    for (const session of this.#sessions) session.pumpGroup(groupId)
  }

  // ── Requests ─────────────────────────────────────────────────────────────────────────────────────────

  request(session: LinkSession, request: Request): void {
    switch (request.op) {
      case 'propose':
        this.#group(request.groupId)
        this.#answer(session, request.id, this.#propose(request))
        return
      case 'read':
        this.#answer(session, request.id, this.#read(request))
        return
      case 'readIndex':
        this.#group(request.groupId)
        this.#answer(session, request.id, this.#readIndex(request.id, request.groupId))
        return
      case 'members':
        session.reply(this.#members(request.id, request.groupId))
        return
      case 'change':
        this.#answer(session, request.id, this.#change(request, session.principal))
        return
      case 'subscribe': {
        const { waits } = this.#group(request.groupId)
        const after = request.after ?? waits.applied
        session.follow(request.groupId, after, encodeDone(request.id, after))
        return
      }
      case 'unsubscribe':
        session.unfollow(request.groupId)
        session.reply(encodeDone(request.id))
        return
      case 'status':
        session.reply(encodeStatusDone(request.id, this.#backend.status(), this.#backend.members()))
    }
  }

  /** A ClusterError becomes a reply; any other error ends this session only. */
  #answer(session: LinkSession, id: number, work: Promise<Uint8Array>): void {
    work
      .catch((thrown) => {
        if (thrown instanceof ClusterError) return encodeFailure(id, failureOf(thrown.code))
        throw thrown
      })
      .then((body) => session.reply(body))
      .catch((thrown) => session.fail(faultOf(thrown)))
  }

  async #propose(request: Extract<Request, { op: 'propose' }>): Promise<Uint8Array> {
    const outcome = await this.#backend.propose(request.groupId, request.commands)
    if (outcome.kind === 'not_leader') return encodeFailure(request.id, 'not_leader', outcome)
    return encodeProposeDone(request.id, outcome)
  }

  async #read(request: Extract<Request, { op: 'read' }>): Promise<Uint8Array> {
    const read = readOfCode(request.code)
    if (read === undefined) throw new ClusterError('unavailable', `read ${request.code} is not known here`)
    let args = read.decodeArgs(request.args)
    request.args.end()
    const { groups } = this.#backend
    const scope = groupsOfScope(read.scope(args), groups, (auctionId) => groupOf(auctionId, groups.length))
    for (const { groupId, index } of request.minIndexes) {
      const reached = await this.#group(groupId).waits.until(index, this.#options.freshWaitMs)
      if (!reached) return encodeFailure(request.id, 'stale')
    }
    for (;;) {
      const found = await read.run(this.#backend, args)
      const body = encodeReadDone(request.id, this.#appliedOf(scope), read.encode(found))
      if (body.length < frameBytesMax - answerMarginBytes) return body
      if (read.shrink === undefined) {
        throw new ClusterError('overloaded', 'the answer is too long: ask for less')
      }
      args = read.shrink(args)
    }
  }

  async #readIndex(id: number, groupId: GroupId): Promise<Uint8Array> {
    const index = await this.#backend.readIndex(groupId)
    if (index === undefined) return encodeFailure(id, 'not_leader', this.#backend.leader(groupId))
    return encodeDone(id, index)
  }

  #members(id: number, groupId: GroupId): Uint8Array {
    this.#group(groupId)
    const rows = this.#options.members?.members(groupId)
    if (rows === undefined) return encodeFailure(id, 'not_leader', this.#backend.leader(groupId))
    return encodeDone(id, rows.map(memberRowFields))
  }

  /** The handshake has proved who asks; members are changed by an operator's command alone. */
  async #change(request: Extract<Request, { op: 'change' }>, principal: string): Promise<Uint8Array> {
    const { id, groupId, change } = request
    this.#group(groupId)
    const { members } = this.#options
    if (members === undefined || !principal.startsWith('tool:')) {
      const reason = `members are changed by an operator's command, and this is ${principal}`
      return encodeDone(id, ...outcomeFields(refused('not_allowed', reason)))
    }
    const outcome = await members.change(groupId, change)
    if (outcome === undefined) return encodeFailure(id, 'not_leader', this.#backend.leader(groupId))
    return encodeDone(id, ...outcomeFields(outcome))
  }

  #appliedOf(groupIds: readonly GroupId[]): GroupIndex[] {
    return groupIds.map((groupId) => ({ groupId, index: this.#group(groupId).waits.applied }))
  }

  #group(groupId: GroupId): Group {
    const group = this.#groups.get(groupId)
    if (group === undefined) throw malformed(`there is no group ${groupId}`)
    return group
  }
}

function sumOf<T>(items: Iterable<T>, figure: (item: T) => number): number {
  let sum = 0
  for (const item of items) sum += figure(item)
  return sum
}
