/**
 * Settings that several roles share, and what follows from them.
 * Invariant: a setting means the same in every role that has it. An address that cannot be one is refused before
 * anything starts. Source: docs/style.md, "Configuration".
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../runtime/clock.ts'
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
import { NoteLimit } from '../runtime/note-limit.ts'
import { type ClusterSecret, parseSecrets, secretBytesMin, tokenOfSecret } from '../wire/proof.ts'
import { type Address, parseAddress } from '../wire/stream.ts'
import { isProtected, type TcpOptions } from '../wire/tcp.ts'

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
  healthNames: {
    is: list().default([]),
    doc: 'Names by which the health port is reached, besides addresses, localhost and healthHost, separated by commas',
  },
  healthToken: {
    is: text().refine(isLongToken, 'must be at least 32 characters').optional(),
    secret: true,
    doc: 'Token that /status, /backup and the page ask for; not set: it follows from the cluster secret (`martillo health-token`)',
  },
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
})

/** What every process of the cluster proves to every other, in place of certificates or beside them. */
export const secretSection = configSection(
  'secret',
  {
    clusterSecret: {
      is: text().refine(areSecrets, 'must be one or two secrets of at least 32 bytes').optional(),
      secret: true,
      doc: 'Secret of the cluster, of at least 32 bytes; a second one after a comma is accepted too',
    },
    clusterSecretFile: {
      is: text().optional(),
      doc: 'File with the secret, and, to change it, a second line with another (`martillo cluster-secret` makes it)',
    },
  },
  [
    {
      reason: 'clusterSecret and clusterSecretFile are the same setting; set one',
      holds: ({ clusterSecret, clusterSecretFile }) =>
        clusterSecret === undefined || clusterSecretFile === undefined,
    },
  ],
)

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

/** A fault of the same kind, of the same node, is logged once in so long. */
const faultNoteEveryMs = 5_000
const faultKindsMax = 100

/** Logs a state node that cannot be reached or breaks the protocol. */
export function linkFault(logger: Logger, clock: Clock) {
  const limit = new NoteLimit({ clock, everyMs: faultNoteEveryMs, kindsMax: faultKindsMax })
  return ({ host, port }: Address, { code, message: reason }: { code: string; message: string }): void => {
    const node = `${host}:${port}`
    const omitted = limit.pass(`${node} ${code}`)
    if (omitted !== undefined)
      logger.warn('state_node_fault', { node, code, reason, ...(omitted > 0 && { omitted }) })
  }
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

type SecretSettings = ConfigOf<typeof secretSection.settings>

/** The secrets of the cluster; none where none is set. Rejects with SettingFileError. */
export async function secretsOf(config: SecretSettings): Promise<readonly ClusterSecret[]> {
  const { clusterSecret, clusterSecretFile } = config
  if (clusterSecretFile === undefined) return clusterSecret === undefined ? [] : parseSecrets(clusterSecret)
  const found = await textOf(clusterSecretFile)
  try {
    return parseSecrets(found)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new SettingFileError(`${clusterSecretFile} ${error.message}`)
  }
}

/** How this process reaches the others. Rejects with SettingFileError. */
export async function tcpOptionsOf(config: {
  readonly tls: ConfigOf<typeof tlsSection.settings>
  readonly secret: SecretSettings
}): Promise<TcpOptions> {
  const secrets = await secretsOf(config.secret)
  const { tlsCertFile, tlsKeyFile, tlsCaFile, tlsServerName } = config.tls
  if (tlsCertFile === undefined || tlsKeyFile === undefined || tlsCaFile === undefined) return { secrets }
  const [cert, key, ca] = await Promise.all([tlsCertFile, tlsKeyFile, tlsCaFile].map(textOf))
  return {
    secrets,
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

function areSecrets(text: string): boolean {
  try {
    return parseSecrets(text).length > 0
  } catch (error) {
    if (error instanceof RangeError) return false
    throw error
  }
}

function isLongToken(text: string): boolean {
  return text.length >= secretBytesMin
}

/** The tokens that open the health port: the one that is set, or one of each cluster secret. */
export function healthTokensOf(
  { healthToken }: { readonly healthToken: string | undefined },
  secrets: readonly ClusterSecret[],
): readonly string[] {
  return healthToken === undefined ? secrets.map((secret) => tokenOfSecret(secret, 'health')) : [healthToken]
}

/** Says in the log that any process of this machine may come. */
export function warnIfOpen(logger: Logger, tcp: TcpOptions): void {
  if (isProtected(tcp)) return
  const reason = 'no cluster secret and no certificates: any process of this machine may connect'
  logger.warn('cluster_open', { reason })
}
