/**
 * Says when this machine's wall clock, or house time, is off.
 *
 * It compares after each round of peer-clocks.ts; the figures also become metrics. Who leads is decided by the replicas.
 * Invariant: an event is reported when it begins and once a minute while it lasts, never at every round.
 * Source: docs/spec.md TIME4.
 */
import type { Clock } from '../../runtime/clock.ts'
import { clockBoundMs, type PeerClocks } from '../peers/peer-clocks.ts'
import type { Replica } from '../replica/replica.ts'

export type ClockEvent =
  /** This machine's wall clock differs from what a majority agrees on. Beyond `boundMs` this node does not lead. */
  | 'clock_off'
  /** No majority of the wall clocks agrees: house time goes on uncorrected. */
  | 'clocks_disagree'
  /** House time differs from what a majority of the wall clocks agrees on. */
  | 'house_time_off'

export type ClockNote = (event: ClockEvent, facts: Readonly<Record<string, unknown>>) => void

export interface ClockOffsets {
  readonly clockOffsetMs?: number
  readonly houseOffsetMs?: number
}

/** A wall clock that is off by more is reported, although the node may lead with it. */
export const clockWarnMs = 500
const againMs = 60_000

/** Of this machine's wall clock in the group that it fits least, and of the house time of the groups that it leads. */
export function offsetsOf(replicas: readonly Replica[], clocks: PeerClocks): ClockOffsets {
  const clockOffsetMs = largest(replicas.map((replica) => clocks.offsetOf(clocks.nodeId, replica.voters)))
  const houseOffsetMs = largest(replicas.map((replica) => replica.houseOffsetMs()))
  return {
    ...(clockOffsetMs !== undefined && { clockOffsetMs }),
    ...(houseOffsetMs !== undefined && { houseOffsetMs }),
  }
}

export class ClockWatch {
  readonly #nodeId: number
  readonly #clock: Clock
  readonly #note: ClockNote | undefined
  readonly #notedAtMs = new Map<ClockEvent, number>()

  constructor(nodeId: number, clock: Clock, note: ClockNote | undefined) {
    this.#nodeId = nodeId
    this.#clock = clock
    this.#note = note
  }

  look(replicas: readonly Replica[], clocks: PeerClocks): void {
    const { clockOffsetMs = 0, houseOffsetMs = 0 } = offsetsOf(replicas, clocks)
    const nodeId = this.#nodeId
    const facts = (offsetMs: number) => ({ nodeId, offsetMs: Math.round(offsetMs), boundMs: clockBoundMs })
    this.#look('clock_off', Math.abs(clockOffsetMs) > clockWarnMs, () => facts(clockOffsetMs))
    this.#look('house_time_off', Math.abs(houseOffsetMs) > clockBoundMs, () => facts(houseOffsetMs))
    const split = replicas.find(({ voters }) => clocks.isSplit(voters))
    this.#look('clocks_disagree', split !== undefined, () => ({ nodeId, groupId: split?.groupId }))
  }

  #look(event: ClockEvent, isSo: boolean, facts: () => Readonly<Record<string, unknown>>): void {
    const nowMs = this.#clock.monotonicMs()
    const notedAtMs = this.#notedAtMs.get(event)
    if (!isSo) this.#notedAtMs.delete(event)
    else if (notedAtMs === undefined || nowMs - notedAtMs >= againMs) {
      this.#notedAtMs.set(event, nowMs)
      this.#note?.(event, facts())
    }
  }
}

function largest(offsets: readonly (number | undefined)[]): number | undefined {
  const known = offsets.filter((offset) => offset !== undefined)
  return known.length === 0 ? undefined : known.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a))
}
