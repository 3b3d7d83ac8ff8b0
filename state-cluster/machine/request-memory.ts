/**
 * Remembers requests with their first reply, so that a retry counts once.
 *
 * The key is subject and request id; the value has a digest of the content and the reply. Accepted and refused requests
 * have a memory each, so refusals never displace what was accepted. Expired requests are unknown at once, and leave
 * memory a few per entry, oldest first. Leaves rows to request-log.ts, and keeps only each subject's numbers here.
 *
 * Invariant: exactly those requests are known that are not older than the window, and among the latest of their subject
 * and of the group up to the bounds.
 * Source: docs/spec.md REQUEST1–REQUEST5, REQUEST7, REQUEST8; docs/protocol.md "Retries".
 */
import type { RequestId, SubjectId } from '../../protocol/ids.ts'
import type { Changes } from './changes.ts'
import type { Reply } from './events.ts'
import type { House } from './group-facts.ts'
import type { Limits } from './limits.ts'
import { hashPlain, type Lanes } from './plain.ts'
import { TupleReader } from './plain-reader.ts'
import { decodeReply, encodeReply } from './reply-codec.ts'
import { atMsOf, type RequestKind, RequestLog, type RequestTuple } from './request-log.ts'

export interface RequestRecord {
  readonly number: number
  readonly subject: SubjectId
  readonly requestId: RequestId
  readonly digestA: number
  readonly digestB: number
  readonly atMs: number
  readonly reply: Reply
}

/** Throws `CodecError`. */
function decodeRequest(tuple: unknown): RequestRecord {
  const fields = new TupleReader('request', tuple, 7)
  return {
    number: fields.count(),
    subject: fields.id<SubjectId>(),
    requestId: fields.id<RequestId>(),
    digestA: fields.integer(),
    digestB: fields.integer(),
    atMs: fields.count(),
    reply: decodeReply(fields.raw()),
  }
}

/** Names a request. */
type Identity = Pick<RequestRecord, 'requestId' | 'subject'>

/** A request with its first answer. */
interface Answered {
  readonly subject: SubjectId
  readonly requestId: RequestId
  readonly digest: Lanes
  readonly atMs: number
  readonly reply: Reply
}

/** The list of a subject without requests. */
const none: readonly number[] = []

/** The hash by which a request id is found; computed once for all that look it up. */
export const idHash = (requestId: RequestId): Lanes => hashPlain(0, requestId)

export class RequestMemory {
  private readonly log: RequestLog
  /** Per subject, in order of arrival: number, hash of the id, number, hash … */
  private readonly bySubject = new Map<SubjectId, number[]>()
  /** The last `find`: the hash of its id, and the number of an expired request with that id. */
  private readonly lastFind: { hash: number; stale: number | undefined } = { hash: 0, stale: undefined }
  private readonly house: House
  private readonly kind: RequestKind
  private readonly windowMs: number
  private readonly perSubjectMax: number
  private readonly max: number

  constructor(changes: Changes, house: House, limits: Limits, kind: RequestKind = 'requests') {
    this.log = new RequestLog(changes, kind)
    this.house = house
    this.kind = kind
    this.windowMs = limits.requestWindowMs
    this.perSubjectMax = kind === 'requests' ? limits.requestsPerSubjectMax : limits.refusalsPerSubjectMax
    this.max = kind === 'requests' ? limits.requestsMax : limits.refusalsMax
  }

  get size(): number {
    return this.log.size
  }

  find({ subject, requestId }: Identity, hash: number, atMs: number): RequestRecord | undefined {
    const record = this.lookUp(subject, requestId, hash)
    return record === undefined || this.isExpired(record.atMs, atMs) ? undefined : record
  }

  /** Remembers the request that the last `find` did not know. The caller touches the house row. */
  remember({ atMs, digest, reply, requestId, subject }: Answered): void {
    const { stale, hash } = this.lastFind
    if (stale !== undefined) this.forget(stale, subject)
    if (this.log.size >= this.max) this.makeRoom()
    const number = this.kind === 'requests' ? ++this.house.requestsMade : ++this.house.refusalsMade
    this.log.append([number, subject, requestId, digest.a, digest.b, atMs, encodeReply(reply)])
    const own = this.link(number, subject, hash)
    if (own.length > 2 * this.perSubjectMax) this.forget(own[0] as number, subject)
  }

  /** The newest stamp of a request that the window or the group's bound may have forgotten. */
  forgottenUntilMs(atMs: number): number {
    return Math.max(atMs - this.windowMs - 1, this.house.requestsForgottenMs)
  }

  /** The newest stamp of a request that the subject's own bound may have forgotten; 0: none. */
  ownForgottenUntilMs(subject: SubjectId): number {
    const own = this.bySubject.get(subject) ?? none
    return own.length >= 2 * this.perSubjectMax ? atMsOf(this.log.get(own[0] as number)) : 0
  }

  /** House time was `fromMs` and is `toMs`: requests keep their age, up to the window. */
  shift(fromMs: number, toMs: number): void {
    const ageMax = this.windowMs + 1
    const shifted = (atMs: number): number => Math.max(0, toMs - Math.min(ageMax, Math.max(0, fromMs - atMs)))
    this.log.restamp(shifted)
    if (this.kind === 'requests') this.house.requestsForgottenMs = shifted(this.house.requestsForgottenMs)
  }

  /** Forgets expired requests, oldest first, at most `count` of them. */
  expire(atMs: number, count: number): void {
    for (let i = 0; i < count && this.isExpired(this.log.fromMs, atMs); i++) {
      const oldest = this.log.first() as RequestTuple
      if (!this.isExpired(atMsOf(oldest), atMs)) return
      this.forgetTuple(oldest)
    }
  }

  /** Loads one saved block. Blocks may come in any order; `indexing` must follow the last one. Throws `CodecError`. */
  load(value: readonly unknown[]): void {
    const tuples = value.filter((tuple) => tuple !== null) as RequestTuple[]
    tuples.forEach(decodeRequest)
    this.log.load(tuples)
  }

  /** Builds the subjects' lists from the loaded requests; one step per request. */
  *indexing(): Generator<void, void> {
    for (const [number, subject, requestId] of this.log.all()) {
      this.link(number as number, subject as SubjectId, idHash(requestId as RequestId).a)
      yield
    }
  }

  blocks(): ReturnType<RequestLog['sorted']> {
    return this.log.sorted()
  }

  /** The subject's request with this id, expired or not. Notes in `lastFind` what `remember` needs. */
  private lookUp(subject: SubjectId, requestId: RequestId, hash: number): RequestRecord | undefined {
    const own = this.bySubject.get(subject) ?? none
    this.lastFind.hash = hash
    for (let at = 1; at < own.length; at += 2) {
      if (own[at] !== hash) continue
      const record = decodeRequest(this.log.get(own[at - 1] as number))
      if (record.requestId !== requestId) continue
      this.lastFind.stale = record.number
      return record
    }
    this.lastFind.stale = undefined
    return undefined
  }

  private isExpired(recordAtMs: number, atMs: number): boolean {
    return recordAtMs < atMs - this.windowMs
  }

  private makeRoom(): void {
    const oldest = this.log.first() as RequestTuple
    if (this.kind === 'requests') this.house.requestsForgottenMs = atMsOf(oldest)
    this.forgetTuple(oldest)
  }

  private link(number: number, subject: SubjectId, hash: number): number[] {
    let own = this.bySubject.get(subject)
    if (own === undefined) {
      own = [number, hash]
      this.bySubject.set(subject, own)
    } else own.push(number, hash)
    return own
  }

  private forgetTuple(tuple: RequestTuple): void {
    this.forget(tuple[0] as number, tuple[1] as SubjectId)
  }

  private forget(number: number, subject: SubjectId): void {
    this.log.remove(number)
    const own = this.bySubject.get(subject)
    if (own === undefined) return
    let at = 0
    while (at < own.length && own[at] !== number) at += 2
    if (at === 0) {
      // Nearly always the oldest goes first, and a splice would cost more than the rest of the bid.
      own.shift()
      own.shift()
    } else own.splice(at, 2)
    if (own.length === 0) this.bySubject.delete(subject)
  }
}
