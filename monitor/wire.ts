/**
 * What a server says to each monitor, over the frames of `wire`: who it is, that it lives and
 * what it has to do, and that it leaves by plan. Monitors answer nothing: a socket that stands is their answer.
 *
 *   16 hello    [version, server, instance]          first, once
 *   17 beat     [sockets, group, epoch, group, epoch, …]     every `beatMs`
 *   18 leaving  []                                    before a planned stop
 *
 * Invariant: a decoder returns a whole, checked value or throws. Rules WATCH1–WATCH2.
 */
import type { GroupId, ServerId } from '../protocol/ids.ts'
import { Fields, type Frame, frameParts, packTuple, unpackTuple } from '../state-cluster/index.ts'

export const heartVersion = 1
/** How often a server says that it lives. */
export const beatMs = 60
/** No message is longer. */
export const messageBytesMax = 64 * 1024

const kinds = { hello: 16, beat: 17, leaving: 18 } as const
const idMax = 128
const groupsMax = 1_024

export interface Hello {
  readonly type: 'hello'
  readonly version: number
  readonly serverId: ServerId
  /** Names one start of the process. */
  readonly instance: string
}

export interface Beat {
  readonly type: 'beat'
  readonly sockets: number
  /** The epoch that the server acts under in each group, where it has one. */
  readonly epochs: readonly { readonly groupId: GroupId; readonly epoch: number }[]
}

export type HeartMessage = Hello | Beat | { readonly type: 'leaving' }

/** Parts for one write. */
export function encodeMessage(message: HeartMessage): Uint8Array[] {
  return frameParts(kinds[message.type], [packTuple(tupleOf(message))])
}

function tupleOf(message: HeartMessage): readonly unknown[] {
  switch (message.type) {
    case 'hello':
      return [message.version, message.serverId, message.instance]
    case 'beat':
      return [message.sockets, ...message.epochs.flatMap(({ groupId, epoch }) => [groupId, epoch])]
    case 'leaving':
      return []
  }
}

/** Throws `TransportError` for what is none of ours. */
export function decodeMessage({ kind, body }: Frame): HeartMessage {
  const values = unpackTuple(body)
  const fields = new Fields(values, 'heartbeat')
  const message = messageOf(kind, fields, values.length)
  fields.end()
  return message
}

function messageOf(kind: number, fields: Fields, count: number): HeartMessage {
  switch (kind) {
    case kinds.hello:
      return {
        type: 'hello',
        version: fields.integer(1),
        serverId: fields.text(idMax) as ServerId,
        instance: fields.text(idMax),
      }
    case kinds.beat: {
      const sockets = fields.integer()
      const epochs: { groupId: GroupId; epoch: number }[] = []
      for (let at = 1; at + 1 < count && epochs.length < groupsMax; at += 2)
        epochs.push({ groupId: fields.integer() as GroupId, epoch: fields.integer() })
      return { type: 'beat', sockets, epochs }
    }
    default:
      if (kind !== kinds.leaving) throw new UnknownMessageError(`heartbeat of kind ${kind}`)
      return { type: 'leaving' }
  }
}

export class UnknownMessageError extends Error {
  override readonly name = 'UnknownMessageError'
  readonly code = 'unknown_message'
  readonly retryable = false
}
