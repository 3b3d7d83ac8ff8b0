/**
 * Encodes the requests about members, and their answers.
 *
 *   request 7 members  [id, 7, group]                 done [[node, role, active, match, host, port] …]
 *   request 8 change   [id, 8, group, 1, node, host, port, incarnation, replaced or 0]
 *                      [id, 8, group, 2, node]
 *                                                     done [0] if made, else [code, reason]
 *
 * Which change is allowed is left to the leader. Invariant: a decoder returns a whole, checked value or throws
 * `malformed`. Source: docs/spec.md MEMBER1 to MEMBER5.
 */

import type { Address } from '../../wire/stream.ts'
import { Fields, malformed } from '../../wire/tuples.ts'
import {
  type ChangeOutcome,
  type ChangeRefusal,
  type MemberChange,
  type MemberView,
  refused,
} from '../replica/membership.ts'

/** A member with its address in the log. */
export interface MemberRow extends MemberView {
  readonly address: Address
}

const nodeIdMax = 2 ** 31 - 1
const hostMax = 255
const incarnationMax = 64
const portMax = 65_535
const membersMax = 1_000
const reasonMax = 1_000
const changeCodes = { add: 1, remove: 2 } as const
/** 0 means that the change was made. Never reuse a number. */
const refusalCodes: Readonly<Record<ChangeRefusal, number>> = {
  not_leader: 1,
  leadership_lost: 2,
  stopped: 3,
  leader_leaves: 4,
  in_progress: 5,
  not_connected: 6,
  already_member: 7,
  not_member: 8,
  only_voter: 9,
  unreachable: 10,
  no_successor: 11,
  not_allowed: 12,
}
const refusalOfCode = new Map(
  Object.entries(refusalCodes).map(([refusal, code]) => [code, refusal as ChangeRefusal]),
)
const roleCodes = { voter: 1, learner: 2 } as const

export function changeFields(change: MemberChange): readonly unknown[] {
  const head = [changeCodes[change.type], change.nodeId]
  if (change.type === 'remove') return head
  return [...head, change.host, change.port, change.incarnation ?? '', change.replaces ?? 0]
}

export function changeOf(fields: Fields): MemberChange {
  const code = fields.integer()
  const nodeId = fields.integer(1, nodeIdMax)
  if (code === changeCodes.remove) return { type: 'remove', nodeId }
  if (code !== changeCodes.add) throw malformed(`change ${code} of the members is not known`)
  const address = { host: fields.text(hostMax), port: fields.integer(1, portMax) }
  const incarnation = fields.text(incarnationMax)
  const replaces = fields.integer(0, nodeIdMax)
  return {
    type: 'add',
    nodeId,
    ...address,
    ...(incarnation !== '' && { incarnation }),
    ...(replaces !== 0 && { replaces }),
  }
}

export function memberRowFields({
  nodeId,
  role,
  isActive,
  matchIndex,
  address,
}: MemberRow): readonly unknown[] {
  return [nodeId, roleCodes[role], isActive, matchIndex, address.host, address.port]
}

export function memberRowsOf(fields: Fields): readonly MemberRow[] {
  const rows = fields.list(membersMax).map((value): MemberRow => {
    const row = Fields.of(value, 'member')
    const nodeId = row.integer(1, nodeIdMax)
    const role = row.integer(1, 2) === roleCodes.voter ? 'voter' : 'learner'
    const facts = { nodeId, role, isActive: row.flag(), matchIndex: row.integer() } as const
    const address = { host: row.text(hostMax), port: row.integer(0, portMax) }
    row.end()
    return { ...facts, address }
  })
  fields.end()
  return rows
}

export function outcomeFields(outcome: ChangeOutcome): readonly unknown[] {
  return outcome.ok ? [0] : [refusalCodes[outcome.code], outcome.reason.slice(0, reasonMax)]
}

export function outcomeOf(fields: Fields): ChangeOutcome {
  const number = fields.integer()
  const code = refusalOfCode.get(number)
  if (number !== 0 && code === undefined) throw malformed(`outcome ${number} of a change is not known`)
  const outcome: ChangeOutcome = code === undefined ? { ok: true } : refused(code, fields.text(reasonMax))
  fields.end()
  return outcome
}
