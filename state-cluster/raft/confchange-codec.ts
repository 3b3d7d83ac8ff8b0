/**
 * The bytes of a configuration change in the log.
 *
 * ```
 *   EntryConfChange     version(1) type nodeId:varint context…
 *   EntryConfChangeV2   version(1) transition count:varint (type nodeId:varint)×count context…
 *                       or nothing at all: the empty change, which leaves a joint configuration
 * ```
 *
 * Invariant: one change has one encoding, and what cannot be decoded is a broken rule, because it was
 * committed. Codes are stable: they only ever get added to. `context` is handed out as a view, not a copy.
 */
import { fail } from './assert.ts'
import {
  type AnyConfChange,
  type ConfChangeSingle,
  type ConfChangeTransition,
  type ConfChangeType,
  type ConfChangeV2,
  EMPTY_BYTES,
  type Entry,
  type EntryType,
  newEntry,
} from './types.ts'

const VERSION = 1

const TYPES: readonly ConfChangeType[] = [
  'ConfChangeAddNode',
  'ConfChangeRemoveNode',
  'ConfChangeUpdateNode',
  'ConfChangeAddLearnerNode',
]
const TRANSITIONS: readonly ConfChangeTransition[] = [
  'ConfChangeTransitionAuto',
  'ConfChangeTransitionJointImplicit',
  'ConfChangeTransitionJointExplicit',
]

/** The second form of a change in the first form. */
export function asV2(change: AnyConfChange): ConfChangeV2 {
  if ('changes' in change) return change
  return {
    transition: 'ConfChangeTransitionAuto',
    changes: [{ type: change.type, nodeId: change.nodeId }],
    context: change.context,
  }
}

/** The single changes that a change is made of. */
export function changesOf(change: AnyConfChange): readonly ConfChangeSingle[] {
  return asV2(change).changes
}

/** The entry to propose for a change; its type distinguishes the two forms. */
export function encodeConfChange(change: AnyConfChange): Entry {
  if (!('changes' in change)) {
    const bytes = [VERSION, typeCode(change.type)]
    pushVarint(bytes, change.nodeId)
    return newEntry('EntryConfChange', withContext(bytes, change.context))
  }
  const { transition, changes, context } = change
  if (transition === 'ConfChangeTransitionAuto' && changes.length === 0 && context.length === 0) {
    return newEntry('EntryConfChangeV2', EMPTY_BYTES)
  }
  const code = TRANSITIONS.indexOf(transition)
  if (code < 0) fail('a configuration change has a known transition', { transition })
  const bytes = [VERSION, code]
  pushVarint(bytes, changes.length)
  for (const single of changes) {
    bytes.push(typeCode(single.type))
    pushVarint(bytes, single.nodeId)
  }
  return newEntry('EntryConfChangeV2', withContext(bytes, context))
}

/** The change in an entry of type EntryConfChange or EntryConfChangeV2. */
export function decodeConfChange(entry: {
  readonly type: EntryType
  readonly data: Uint8Array
}): AnyConfChange {
  const { type, data } = entry
  if (type === 'EntryNormal') fail('only an entry of a configuration change holds one', { type })
  if (type === 'EntryConfChangeV2' && data.length === 0) {
    return { transition: 'ConfChangeTransitionAuto', changes: [], context: EMPTY_BYTES }
  }
  const reader = new Reader(data)
  const version = reader.byte()
  if (version !== VERSION) fail('a configuration change has a known version', { version, type })
  if (type === 'EntryConfChange') {
    const changeType = reader.pick(TYPES)
    return { type: changeType, nodeId: reader.varint(), context: reader.rest() }
  }
  const transition = reader.pick(TRANSITIONS)
  const count = reader.varint()
  const changes: ConfChangeSingle[] = []
  for (let i = 0; i < count; i++) {
    const changeType = reader.pick(TYPES)
    changes.push({ type: changeType, nodeId: reader.varint() })
  }
  return { transition, changes, context: reader.rest() }
}

function typeCode(type: ConfChangeType): number {
  const code = TYPES.indexOf(type)
  if (code < 0) fail('a configuration change has a known type', { type })
  return code
}

function pushVarint(bytes: number[], value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) fail('ids are integers and not negative', { value })
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
}

function withContext(head: readonly number[], context: Uint8Array): Uint8Array {
  const data = new Uint8Array(head.length + context.length)
  data.set(head)
  data.set(context, head.length)
  return data
}

/** Reads from the front; running out of bytes is a broken rule. */
class Reader {
  readonly #data: Uint8Array
  #at = 0

  constructor(data: Uint8Array) {
    this.#data = data
  }

  byte(): number {
    const value = this.#data[this.#at++]
    if (value === undefined) fail('a configuration change is whole', { length: this.#data.length })
    return value
  }

  pick<T>(names: readonly T[]): T {
    const code = this.byte()
    const name = names[code]
    if (name === undefined) fail('a configuration change has known codes', { code, at: this.#at - 1 })
    return name
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (!Number.isSafeInteger(value)) fail('ids are safe integers', { at: this.#at - 1 })
      if (byte < 0x80) return value
      scale *= 0x80
    }
  }

  rest(): Uint8Array {
    return this.#data.subarray(this.#at)
  }
}
