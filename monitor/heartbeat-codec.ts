/**
 * The frames that a server sends to a monitor, and the hello of both sides.
 *
 *     heartbeat   [sockets, group, epoch, group, epoch, …]     every `heartbeatMs`
 *     farewell    []                                            before a planned stop
 *
 * The handshake, the silence of a connection and its limits are those of `wire/`; a monitor sends nothing but its
 * hello. Invariant: a decoder returns a whole, checked value or throws. Source: docs/spec.md WATCH1 and WATCH2.
 */
import type { GroupId, ServerId } from '../protocol/ids.ts'
import type { ConnectionLimits } from '../wire/connection.ts'
import { type Hello, helloWithoutNode } from '../wire/handshake.ts'
import { frameKinds } from '../wire/kinds.ts'
import { Fields, malformed, packTuple, unpackTuple } from '../wire/tuples.ts'

/** How often a server sends a heartbeat. */
export const heartbeatMs = 60

/**
 * The detector judges silence, and much earlier. The transport only frees connections whose other machine is gone:
 * twice the longest silence that can be configured. A monitor that was asleep so finds its connections open.
 */
export const heartbeatLimits: ConnectionLimits = {
  heartbeatMs: 1_000,
  silentHeartbeatsMax: 120,
  outBytesMax: 64 * 1024,
  greetingMs: 2_000,
}

const groupsMax = 1_024

export interface Heartbeat {
  readonly type: 'heartbeat'
  readonly sockets: number
  /** The epoch that the server acts under in each group, where it has one. */
  readonly epochs: readonly { readonly groupId: GroupId; readonly epoch: number }[]
}

export type ServerMessage = Heartbeat | { readonly type: 'farewell' }

export function serverHello(serverId: ServerId, instance: string): Hello {
  return helloWithoutNode('heartbeat', { instance, serverId })
}

/** `name`: as the monitor's certificate names it. */
export function monitorHello(instance: string, name: string): Hello {
  return helloWithoutNode('monitor', { instance, principal: `monitor:${name}` })
}

export function encodeHeartbeat({ sockets, epochs }: Omit<Heartbeat, 'type'>): Uint8Array {
  return packTuple([sockets, ...epochs.flatMap(({ groupId, epoch }) => [groupId, epoch])])
}

/** Throws `malformed`. */
export function decodeServerMessage(kind: number, body: Uint8Array): ServerMessage {
  if (kind === frameKinds.farewell && body.length === 0) return { type: 'farewell' }
  if (kind !== frameKinds.heartbeat) throw malformed(`a frame of kind ${kind} from a server`)
  const fields = new Fields(unpackTuple(body), 'heartbeat')
  const sockets = fields.integer()
  const epochs: { groupId: GroupId; epoch: number }[] = []
  while (fields.left >= 2 && epochs.length < groupsMax)
    epochs.push({ groupId: fields.integer() as GroupId, epoch: fields.integer() })
  fields.end()
  return { type: 'heartbeat', sockets, epochs }
}
