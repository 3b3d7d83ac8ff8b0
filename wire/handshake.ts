/**
 * The handshake: what each side says of itself, and the reasons to refuse the other.
 *
 *     greeting: [magic, versionMin, version, nonce, has a secret]
 *     hello:    [role, clusterId, nodeId, instance, settingsHash, incarnation]
 *               and, with the role `heartbeat`, serverId; with `link` and `monitor`, principal
 *     refusal:  [code, reason]
 *
 * greeting.ts has their order. Magic and versions keep the first places in every version, so that a later one can be
 * refused in words. Invariant: no other frame is read before the other side's hello was accepted.
 * Source: docs/spec.md PEER1 to PEER5.
 */
import { createHash } from 'node:crypto'
import { nonceBytes } from './proof.ts'
import { Fields, malformed, packTuple, unpackTuple } from './tuples.ts'

const magic = 'martillo'
/** The newest form of everything in this folder and in link/, and the oldest that is still spoken. */
export const transportVersion = 3
export const transportVersionMin = 3
/** No frame of the handshake is longer, in bytes. */
export const helloBytesMax = 4 * 1024

/**
 * Dialled from: `peer`, a node that sends raft messages; `link`, a client of the cluster; `heartbeat`, a server that a
 * monitor watches. Dialled to: `node` and `monitor`.
 */
export type Role = 'peer' | 'link' | 'node' | 'heartbeat' | 'monitor'

const roleCodes: Readonly<Record<Role, number>> = { peer: 1, link: 2, node: 3, heartbeat: 4, monitor: 5 }
const roles: readonly (Role | undefined)[] = [undefined, 'peer', 'link', 'node', 'heartbeat', 'monitor']

/** The roles of state nodes; the others have neither a node id nor settings of the cluster. */
const isNode = (role: Role): boolean => role === 'peer' || role === 'node'

/** The first frame of a side. */
export interface GreetingBody {
  readonly hasSecret: boolean
}

export interface Hello {
  readonly role: Role
  /** Empty where it is not known: on a new link client, on a server that sends heartbeats, on a monitor. */
  readonly clusterId: string
  /** ≥ 1; 0 on what is no state node. */
  readonly nodeId: number
  /** Chosen at random by each start of a process: it distinguishes a restart from a second process with the same id. */
  readonly instance: string
  /** Hash of the settings that all nodes must share (`settingsHash`); empty on what is no state node. */
  readonly settingsHash: string
  /** Of the node's data folder; absent on what is no state node. */
  readonly incarnation?: string
  /** Of the server that sends heartbeats; absent in every other role. */
  readonly serverId?: string
  /** Of a link client or a monitor: `server:NAME`, `monitor:NAME` or `tool:NAME`. */
  readonly principal?: string
}

/** Who a side says it is, as certificates name it: `state:1`, `server:NAME`, `monitor:NAME`, `tool:NAME`. */
export function principalOf({ role, nodeId, serverId = '', principal = '' }: Hello): string {
  if (isNode(role)) return `state:${nodeId}`
  return role === 'heartbeat' ? `server:${serverId}` : principal
}

/** What the principal of these roles begins with. */
const principalKinds: Readonly<Partial<Record<Role, RegExp>>> = {
  link: /^(server|monitor|tool):/,
  monitor: /^monitor:/,
}

/** A hello of this version for a role that is no state node's; `known` has what else is known. */
export function helloWithoutNode(role: Role, known: Pick<Hello, 'instance'> & Partial<Hello>): Hello {
  return {
    role,
    clusterId: '',
    nodeId: 0,
    settingsHash: '',
    ...known,
  }
}

type RefusalCode =
  | 'wrong_protocol'
  | 'wrong_version'
  | 'wrong_role'
  | 'wrong_cluster'
  | 'wrong_settings'
  | 'wrong_node'
  | 'duplicate_node_id'
  /** Another data folder than the members' record names. */
  | 'wrong_incarnation'
  /** An older state of the folder than one that has made promises. */
  | 'too_many_connections'
  /** No proof of the cluster secret. */
  | 'wrong_secret'
  /** The certificate is for another role or name. */
  | 'wrong_certificate'
  | 'stopping'

export interface Refusal {
  readonly code: RefusalCode
  /** For the log of both sides: what was expected and what was found. */
  readonly reason: string
}

export function encodeGreeting(nonce: Uint8Array, hasSecret: boolean): Uint8Array {
  return packTuple([magic, transportVersionMin, transportVersion, nonce, hasSecret])
}

/** The other side's greeting, or the refusal where this version cannot read it. Throws `malformed`. */
export function decodeGreeting(body: Uint8Array): GreetingBody | Refusal {
  const values = unpackTuple(body)
  if (values[0] !== magic) return { code: 'wrong_protocol', reason: 'this is not a martillo node' }
  const fields = new Fields(values, 'greeting')
  fields.any()
  const versionMin = fields.integer(1)
  const version = fields.integer(versionMin)
  if (versionMin > transportVersion || version < transportVersionMin) {
    return {
      code: 'wrong_version',
      reason: `speaks versions ${versionMin} to ${version}, here ${transportVersionMin} to ${transportVersion}`,
    }
  }
  if (fields.bytes(nonceBytes).length !== nonceBytes) throw malformed('greeting: a short nonce')
  const hasSecret = fields.flag()
  fields.end()
  return { hasSecret }
}

export function encodeHello(hello: Hello): Uint8Array {
  return packTuple([
    roleCodes[hello.role],
    hello.clusterId,
    hello.nodeId,
    hello.instance,
    hello.settingsHash,
    hello.incarnation ?? '',
    ...(hello.role === 'heartbeat' ? [hello.serverId ?? ''] : []),
    ...(principalKinds[hello.role] === undefined ? [] : [hello.principal ?? '']),
  ])
}

/** Throws `malformed`. */
export function decodeHello(body: Uint8Array): Hello {
  const fields = new Fields(unpackTuple(body), 'hello')
  const role = roles[fields.integer()]
  if (role === undefined) throw malformed('hello: unknown role')
  const hello = {
    role,
    clusterId: fields.text(128),
    nodeId: fields.integer(),
    instance: fields.text(64),
    settingsHash: fields.text(128),
  }
  const incarnation = fields.text(64)
  const serverId = role === 'heartbeat' ? fields.text(128) : ''
  const principal = principalKinds[role] === undefined ? '' : fields.text(160)
  if (principalKinds[role]?.test(principal) === false) throw malformed(`hello: no principal of a ${role}`)
  fields.end()
  return {
    ...hello,
    ...(incarnation !== '' && { incarnation }),
    ...(serverId !== '' && { serverId }),
    ...(principal !== '' && { principal }),
  }
}

/** What to expect of the other side beyond one's own hello. */
export interface Expected {
  readonly roles: readonly Role[]
  /** The node that was dialled, where it is known. */
  readonly nodeId?: number
}

/** Why `theirs` is refused, or `undefined`. */
export function judgeHello(own: Hello, theirs: Hello, expected: Expected): Refusal | undefined {
  if (!expected.roles.includes(theirs.role)) {
    return {
      code: 'wrong_role',
      reason: `a ${theirs.role} where ${expected.roles.join(' or ')} was expected`,
    }
  }
  const clusterKnown = own.clusterId !== '' && (theirs.clusterId !== '' || isNode(theirs.role))
  if (clusterKnown && own.clusterId !== theirs.clusterId) {
    return { code: 'wrong_cluster', reason: `cluster ${theirs.clusterId}, here it is ${own.clusterId}` }
  }
  if (!isNode(own.role) || !isNode(theirs.role)) return undefined
  if (theirs.nodeId === own.nodeId) {
    return { code: 'duplicate_node_id', reason: `node id ${own.nodeId} is used twice` }
  }
  if (expected.nodeId !== undefined && theirs.nodeId !== expected.nodeId) {
    return {
      code: 'wrong_node',
      reason: `node ${theirs.nodeId} answers where node ${expected.nodeId} should`,
    }
  }
  if (own.settingsHash !== theirs.settingsHash) {
    return {
      code: 'wrong_settings',
      reason: `cluster settings ${theirs.settingsHash}, here ${own.settingsHash}: all nodes need the same`,
    }
  }
  return undefined
}

export function encodeRefusal(refusal: Refusal): Uint8Array {
  return packTuple([refusal.code, refusal.reason])
}

/** Throws `malformed`. Codes of later versions come through as they are. */
export function decodeRefusal(body: Uint8Array): Refusal {
  const fields = new Fields(unpackTuple(body), 'refusal')
  const refusal = { code: fields.text(64) as RefusalCode, reason: fields.text(1024) }
  fields.end()
  return refusal
}

/** SHA-256 in hex of the settings, whatever the order they are given in. */
export function settingsHash(settings: Readonly<Record<string, string | number | boolean>>): string {
  const ordered = Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256').update(JSON.stringify(ordered)).digest('hex')
}
