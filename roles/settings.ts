/**
 * Settings that several roles share, and what follows from them.
 * Invariant: a setting means the same in every role that has it. An address that cannot be one is refused before
 * anything starts. Source: docs/style.md, "Configuration".
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import {
  ConfigError,
  type ConfigOf,
  choice,
  configSection,
  flag,
  integer,
  list,
  text,
} from '../runtime/config.ts'
import { type Logger, logLevels } from '../runtime/logger.ts'
import { type Address, parseAddress } from '../wire/stream.ts'
import type { TcpOptions } from '../wire/tcp.ts'

/** Of every role that runs as a process of its own. */
export const roleSection = configSection('process', {
  logLevel: {
    is: choice(logLevels).optional(),
    doc: 'Least important log line written; not set: warn for `martillo start`, info for single roles',
  },
  healthPort: {
    is: integer(0, 65_535).optional(),
    doc: 'Port for /livez, /readyz, /status and /metrics of a role without its own HTTP; 0 picks one; not set: none',
  },
  healthHost: { is: text().default('127.0.0.1'), doc: 'Address for the health port to listen on' },
})

/** Of every role that holds the state. */
export const acceptClockSetting = {
  is: flag().default(false),
  doc: "Start as the only node whatever this machine's clock shows; otherwise a clock before the last entry, or 30 days after it, is refused",
}

/** Mutual TLS between state nodes, and between them and their clients. */
export const tlsSection = configSection(
  'tls',
  {
    tlsCertFile: {
      is: text().optional(),
      doc: "This process's certificate (PEM) for the cluster's own connections",
    },
    tlsKeyFile: { is: text().optional(), doc: 'The key of that certificate (PEM)' },
    tlsCaFile: { is: text().optional(), doc: "The authority (PEM) that signed everybody's certificates" },
    tlsServerName: {
      is: text().optional(),
      doc: "Name that the other side's certificate must carry, where it is not the host that is dialled",
    },
  },
  [
    {
      reason: 'tlsCertFile, tlsKeyFile and tlsCaFile belong together; set all three or none',
      holds: ({ tlsCertFile, tlsKeyFile, tlsCaFile }) =>
        (tlsCertFile === undefined) === (tlsKeyFile === undefined) &&
        (tlsKeyFile === undefined) === (tlsCaFile === undefined),
    },
  ],
)

export const clusterSection = configSection('cluster', {
  cluster: {
    is: text().default('martillo'),
    doc: 'Name of the cluster, the same on all its nodes; nodes of different names do not talk to each other',
  },
  clusterSecret: {
    is: text().optional(),
    secret: true,
    doc: 'Secret that changes of the membership must carry; not set: they are accepted from the same machine alone',
  },
})

export const stateNodesSection = configSection('link', {
  stateNodes: {
    is: list(isAddress, 'must be host:port').default([]),
    doc: 'Addresses (host:port) of state nodes, separated by commas; one that answers names the others',
  },
})

export const monitorsSection = configSection('watch', {
  monitors: {
    is: list(isAddress, 'must be host:port').default([]),
    doc: 'Addresses (host:port) of all monitors, separated by commas; not set: no other server takes over when this one dies',
  },
})

/** The page that `npm run build` makes: beside the compiled folder, or in dist/ when run from source. */
export const webDir = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../dist/web' : '../web', import.meta.url),
)

/** How long a part of a role may take to start, and to stop. */
export const deadlines = { startDeadlineMs: 60_000, stopDeadlineMs: 30_000 }

/** Throws ConfigError where no state node is named. */
export function stateNodesOf(link: ConfigOf<typeof stateNodesSection.settings>): readonly Address[] {
  if (link.stateNodes.length === 0)
    throw new ConfigError(['state nodes are missing: give --state host:port,host:port'])
  return addressesOf(link.stateNodes)
}

/** Addresses that their section has checked. */
export function addressesOf(checked: readonly string[]): readonly Address[] {
  return checked.map(parseAddress)
}

/** Logs a state node that cannot be reached or breaks the protocol. */
export function linkFault(logger: Logger) {
  return ({ host, port }: Address, { code, message: reason }: { code: string; message: string }): void =>
    logger.warn('state_node_fault', { node: `${host}:${port}`, code, reason })
}

export function addressOf(text: string): Address | undefined {
  try {
    return parseAddress(text)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function isAddress(text: string): boolean {
  return addressOf(text) !== undefined
}

/** A file that a setting names could not be read. */
export class SettingFileError extends Error {
  readonly code = 'setting_file'
  readonly retryable = false
}

/** Rejects with SettingFileError. */
export async function tcpOptionsOf(config: ConfigOf<typeof tlsSection.settings>): Promise<TcpOptions> {
  const { tlsCertFile, tlsKeyFile, tlsCaFile, tlsServerName } = config
  if (tlsCertFile === undefined || tlsKeyFile === undefined || tlsCaFile === undefined) return {}
  const [cert, key, ca] = await Promise.all([tlsCertFile, tlsKeyFile, tlsCaFile].map(textOf))
  return {
    tls: {
      cert: cert as string,
      key: key as string,
      ca: ca as string,
      ...(tlsServerName === undefined ? {} : { serverName: tlsServerName }),
    },
  }
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new SettingFileError(`cannot read ${path}: ${why}`, { cause })
  }
}
