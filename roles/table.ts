/**
 * The table of roles: the verb of each, its options, and where its code is.
 * Invariant: reading this table loads no role. A client verb therefore starts fast and needs no native package.
 * Left to others: what a role does (the file that it loads). Source: docs/protocol.md, "Command line".
 */
import { variablesOf } from '../runtime/config.ts'
import type { Role } from './role.ts'

/** One option of a role's verb. */
export interface RoleOption {
  /** As commander reads it: `--port <port>`. */
  readonly flags: string
  readonly doc: string
  /** The setting that it overrides. Absent: it changes nothing. */
  readonly setting?: string
}

export interface RoleEntry {
  readonly description: string
  readonly options: readonly RoleOption[]
  load(): Promise<Role>
}

const host: RoleOption = {
  flags: '--host <address>',
  doc: 'address to listen on (default: 127.0.0.1)',
  setting: 'host',
}
const port: RoleOption = {
  flags: '--port <port>',
  doc: 'port to listen on, 0 for a free one (default: 8080)',
  setting: 'port',
}
const data: RoleOption = {
  flags: '--data <folder>',
  doc: 'folder of everything that must survive (default: ./data)',
  setting: 'dataDir',
}
const json: RoleOption = {
  flags: '--json',
  doc: 'print machine-readable lines; the first is {"event":"listening",…}',
}
const stateNodes: RoleOption = {
  flags: '--state <list>',
  doc: 'addresses of state nodes: host:port,host:port',
  setting: 'stateNodes',
}

const acceptClock: RoleOption = {
  flags: '--accept-clock',
  doc: "start as the only node whatever this machine's clock shows",
  setting: 'acceptClock',
}

const start: RoleEntry = {
  description: 'run everything on this machine: state, server, notifier and web page in one process',
  options: [
    host,
    port,
    data,
    { ...json, doc: 'print machine-readable lines; the first is {"event":"listening","url":…}' },
    acceptClock,
  ],
  load: async () => (await import('./all-in-one.ts')).allInOne,
}

const state: RoleEntry = {
  description: 'run one node of the state cluster',
  options: [
    data,
    json,
    host,
    port,
    {
      flags: '--node-id <number>',
      doc: 'number of this node, from 1; no two nodes ever have the same',
      setting: 'nodeId',
    },
    {
      flags: '--members <list>',
      doc: 'all members of the new cluster: 1=host:port,2=host:port,3=host:port',
      setting: 'members',
    },
    {
      flags: '--cluster <name>',
      doc: 'name of the cluster, the same on all nodes (default: martillo)',
      setting: 'cluster',
    },
    {
      flags: '--join',
      doc: 'enter a cluster that exists; --members then names those that are there',
      setting: 'join',
    },
    acceptClock,
  ],
  load: async () => (await import('./state.ts')).stateRole,
}

const server: RoleEntry = {
  description: 'run one server, with the state in other processes',
  options: [
    data,
    json,
    host,
    port,
    stateNodes,
    {
      flags: '--monitors <list>',
      doc: 'addresses of all monitors: host:port,host:port',
      setting: 'monitors',
    },
    {
      flags: '--id <name>',
      doc: 'name of this server; no two that run share one (default: server-1)',
      setting: 'serverId',
    },
  ],
  load: async () => (await import('./server.ts')).serverRole,
}

const monitor: RoleEntry = {
  description: "watch servers, hand a dead one's auctions over",
  options: [
    // A monitor keeps nothing; it takes the option as the other roles do.
    { flags: data.flags, doc: data.doc },
    json,
    host,
    port,
    stateNodes,
    {
      flags: '--page-port <port>',
      doc: 'port of the page for operators, 0 for a free one (default: none)',
      setting: 'healthPort',
    },
    { flags: '--id <name>', doc: 'name of this monitor (default: monitor)', setting: 'monitorId' },
  ],
  load: async () => (await import('./monitor.ts')).monitorRole,
}

const notifier: RoleEntry = {
  description: 'post notifications from the queue SQS_QUEUE_URL to webhooks',
  options: [data, json],
  load: async () => (await import('./notifier.ts')).notifierRole,
}

export const roles = { start, state, server, monitor, notifier }
export type RoleName = keyof typeof roles
export const roleNames = Object.keys(roles) as readonly RoleName[]

/** Roles that run as processes of their own, in a cluster. */
export const singleRoles = roleNames.filter((name) => name !== 'start')

/** Variables that client verbs read; no role takes them for misspelt settings. */
const clientVariables = ['MARTILLO_URL', 'MARTILLO_TOKEN']

/** The variables of all roles and verbs: one environment may serve several of them. */
export async function knownVariables(): Promise<readonly string[]> {
  const loaded = await Promise.all(roleNames.map(async (name) => await roles[name].load()))
  return [...clientVariables, ...loaded.flatMap(({ sections }) => variablesOf(sections))]
}
