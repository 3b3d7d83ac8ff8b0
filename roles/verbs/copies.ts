/**
 * `martillo state backup | restore | recover | drop-entry`: copies of a node, and last resorts.
 * Invariant: a backup file appears under its name only when it is whole and durable; nothing that exists is
 * overwritten. Source: docs/spec.md BACKUP1, BACKUP2, MEMBER5, STORE18.
 */
import { createReadStream } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { GroupId } from '../../protocol/ids.ts'
import { systemClock } from '../../runtime/clock.ts'
import { ConfigError } from '../../runtime/config.ts'
import {
  clusterIdOf,
  type DroppedEntry,
  dropEntry,
  type Recovered,
  type Restored,
  recoverFolder,
  restoreBackup,
} from '../../state-cluster/index.ts'
import type { Address } from '../../wire/stream.ts'
import { memberOf } from '../state.ts'
import { bearerOf } from './secrets.ts'

/** The copy could not be made or read. */
export class BackupError extends Error {
  readonly code = 'backup_failed'
  readonly retryable = true
}

/** Writes `<folder>/martillo-<time>.backup`, and resolves with its path and size. */
export async function backUp(options: {
  readonly folder: string
  /** A node's health address: `http://127.0.0.1:9090`. */
  readonly healthUrl: string
  /** Of the health port. */
  readonly token: string | undefined
}): Promise<{ readonly path: string; readonly bytes: number }> {
  const { folder, healthUrl, token } = options
  const response = await fetch(new URL('/backup', healthUrl), { headers: bearerOf(token) }).catch(
    (cause: unknown) => {
      throw new BackupError(`no state node answers at ${healthUrl}: give --health with its health port`, {
        cause,
      })
    },
  )
  if (!response.ok || response.body === null) {
    throw new BackupError(
      `the node at ${healthUrl} gives no backup: ${response.status} ${await response.text()}`,
    )
  }
  await mkdir(folder, { recursive: true })
  const time = new Date(systemClock.nowMs()).toISOString().replace(/[:.]/g, '-')
  const path = join(folder, `martillo-${time}.backup`)
  const aside = `${path}.part`
  const file = await open(aside, 'wx', 0o600)
  let bytes = 0
  try {
    for await (const chunk of response.body) {
      await file.write(chunk)
      bytes += chunk.length
    }
    await file.sync()
    await file.close()
  } catch (cause) {
    await file.close().catch(() => undefined)
    await rm(aside, { force: true })
    throw new BackupError(`the backup broke off after ${bytes} bytes: make it again`, { cause })
  }
  await rename(aside, path)
  return { path, bytes }
}

export async function restore(options: {
  readonly file: string
  readonly dataDir: string
  readonly nodeId: string
  readonly cluster: string
  readonly members: string | undefined
}): Promise<Restored> {
  const { file, dataDir, cluster } = options
  const members = (options.members ?? '').split(',').filter((entry) => entry !== '')
  const read = members.map((entry) => {
    const member = memberOf(entry)
    if (member === undefined) throw new ConfigError([`a member is number=host:port, not ${entry}`])
    return member
  })
  const nodeId = Number(options.nodeId)
  const known = new Map<number, Address>(read)
  if (!Number.isSafeInteger(nodeId) || nodeId < 1) throw new ConfigError(['--node-id is a number from 1'])
  if (known.size > 0 && !known.has(nodeId)) throw new ConfigError([`node ${nodeId} is not among the members`])
  const source = createReadStream(file)
  try {
    return await restoreBackup(source, {
      dataDir,
      nodeId,
      clusterId: clusterIdOf(cluster),
      members: known,
      nowMs: systemClock.nowMs(),
    })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new BackupError(`there is no backup ${file}`, { cause: error })
  }
}

/** Rejects with ConfigError, or StoreError where there is no such entry. */
export async function drop(options: {
  readonly data: string
  readonly index: string
  readonly term: string
  readonly group: string
  readonly acceptLoss?: boolean
}): Promise<DroppedEntry> {
  if (options.acceptLoss !== true) {
    throw new ConfigError([
      'the command of the entry will have no effect: give --accept-loss if no node can apply it',
    ])
  }
  const number = (name: 'index' | 'term' | 'group'): number => {
    const text = options[name]
    if (!/^\d{1,15}$/.test(text)) throw new ConfigError([`--${name} is a whole number, not ${text}`])
    return Number(text)
  }
  const place = { groupId: number('group') as GroupId, index: number('index'), term: number('term') }
  return await dropEntry({ dataDir: options.data, ...place, nowMs: systemClock.nowMs() })
}

export async function recover(options: {
  readonly dataDir: string
  readonly cluster: string
  readonly isLossAccepted: boolean
}): Promise<Recovered> {
  if (!options.isLossAccepted) {
    throw new ConfigError([
      'what only the other nodes had is lost, acknowledged or not; give --accept-loss if the majority is lost permanently',
    ])
  }
  const { dataDir, cluster } = options
  return await recoverFolder({ dataDir, clusterId: clusterIdOf(cluster), nowMs: systemClock.nowMs() })
}
