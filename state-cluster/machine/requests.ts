/**
 * The memory that makes a retry count once: (subject, request id) → digest of what was asked and the first
 * answer, refusals included. Invariant: known are exactly the requests not older than the window, of each
 * subject the latest so many, of the group the latest so many. What is too old is unknown at once and leaves
 * memory a few at a time, oldest first, so that no entry pays for a quiet hour. Source: CONTRACT "A retry with a known requestId".
 *
 *   requests  value: a block of [number, subject, request id, digest a, digest b, atMs, reply]
 */
import type { RequestId, SubjectId } from '../../protocol/ids.ts'
import { BlockLog, type Numbered } from './blocks.ts'
import type { Changes } from './changes.ts'
import type { Reply } from './events.ts'
import type { House } from './house.ts'
import type { Limits } from './limits.ts'
import type { Lanes, Plain } from './plain.ts'
import { encodeReply } from './reply-codec.ts'

export interface RequestRecord extends Numbered {
  readonly number: number
  readonly subject: SubjectId
  readonly requestId: RequestId
  readonly digestA: number
  readonly digestB: number
  readonly atMs: number
  readonly reply: Reply
}

function encodeRequest(record: RequestRecord): readonly Plain[] {
  return [
    record.number,
    record.subject,
    record.requestId,
    record.digestA,
    record.digestB,
    record.atMs,
    encodeReply(record.reply),
  ]
}

export class Requests {
  private readonly log: BlockLog<RequestRecord>
  /** Each inner map is in order of arrival. */
  private readonly bySubject = new Map<SubjectId, Map<RequestId, RequestRecord>>()
  private readonly house: House
  private readonly limits: Limits

  constructor(changes: Changes, house: House, limits: Limits) {
    this.log = new BlockLog<RequestRecord>({ kind: 'requests', encode: encodeRequest }, changes)
    this.house = house
    this.limits = limits
  }

  get size(): number {
    return this.log.size
  }

  find(subject: SubjectId, requestId: RequestId, atMs: number): RequestRecord | undefined {
    const record = this.bySubject.get(subject)?.get(requestId)
    return record === undefined || this.isTooOld(record, atMs) ? undefined : record
  }

  /** Remembers a request that `find` did not know. The caller touches the house row. */
  remember(subject: SubjectId, requestId: RequestId, digest: Lanes, atMs: number, reply: Reply): void {
    const stale = this.bySubject.get(subject)?.get(requestId)
    if (stale !== undefined) this.forget(stale)
    if (this.log.size >= this.limits.requestsMax) this.forget(this.log.first() as RequestRecord)
    const number = ++this.house.requestsMade
    const record: RequestRecord = {
      number,
      subject,
      requestId,
      digestA: digest.a,
      digestB: digest.b,
      atMs,
      reply,
    }
    this.log.append(record)
    const own = this.link(record)
    if (own.size > this.limits.requestsPerSubjectMax) this.forget(own.values().next().value as RequestRecord)
  }

  /** Forgets what is too old, oldest first, at most `count` of them. */
  expire(atMs: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const oldest = this.log.first()
      if (oldest === undefined || !this.isTooOld(oldest, atMs)) return
      this.forget(oldest)
    }
  }

  /** Puts back one saved block; blocks may come in any order, `sealing` follows the last. */
  load(records: readonly RequestRecord[]): void {
    this.log.load(records)
  }

  /** Puts the loaded requests in order; a step is one of them. */
  *sealing(): Generator<void, void> {
    for (const record of this.log.all()) {
      this.link(record)
      yield
    }
  }

  blocks(): ReturnType<BlockLog<RequestRecord>['sorted']> {
    return this.log.sorted()
  }

  private isTooOld(record: RequestRecord, atMs: number): boolean {
    return record.atMs < atMs - this.limits.requestWindowMs
  }

  private link(record: RequestRecord): Map<RequestId, RequestRecord> {
    let own = this.bySubject.get(record.subject)
    if (own === undefined) {
      own = new Map()
      this.bySubject.set(record.subject, own)
    }
    own.set(record.requestId, record)
    return own
  }

  private forget(record: RequestRecord): void {
    this.log.remove(record)
    const own = this.bySubject.get(record.subject)
    own?.delete(record.requestId)
    if (own?.size === 0) this.bySubject.delete(record.subject)
  }
}
