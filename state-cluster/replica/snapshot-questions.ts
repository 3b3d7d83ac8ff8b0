/**
 * What the sender of a snapshot asks its receiver, as bytes.
 *
 *   [0, offer]  which blocks of these auctions do you lack?     (history-offer.ts)
 *   [1]         after which row of the state may I go on?       (empty: from the beginning)
 *
 * Invariant: a question that is none of these is StoreError `corrupt`. Source: docs/spec.md SNAP6, SNAP7.
 */
import { corrupt } from '../storage/layout.ts'
import { pack, unpack } from '../storage/pack.ts'

const history = 0
const rows = 1

export interface Question {
  /** Absent: it is about the rows. */
  readonly offer?: Uint8Array
}

export function encodeQuestion({ offer }: Question): Uint8Array {
  return pack(offer === undefined ? [rows] : [history, offer])
}

export function decodeQuestion(bytes: Uint8Array): Question {
  const fields = unpack(bytes)
  const [kind, offer] = Array.isArray(fields) ? fields : []
  if (kind === rows) return {}
  if (kind === history && offer instanceof Uint8Array) return { offer }
  throw corrupt('question of a snapshot', 'its layout is unknown')
}
