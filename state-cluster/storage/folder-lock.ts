/**
 * One process at a time on a data folder.
 *
 *   lock.1 … lock.n   who took the folder, in turn; the last one counts, the earlier are removed
 *   lock-….sock       the socket on which the holder listens for as long as it lives
 *
 * Invariant: the holder is the living process of the highest number. A number is taken by linking a finished
 * file to its name, which only one process can do; the highest file is never removed, so that numbers only rise,
 * and a process whose number is not the highest any more gives it up. A process is alive as long as the kernel
 * accepts connections for it: a `kill -9` ends that at once, a pause does not, other containers see the same.
 * Where the file system holds no sockets, process id and start time stand in.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, constants, openSync, readFileSync } from 'node:fs'
import { link, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { createConnection, createServer, type Server } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { makeFolder } from './folder.ts'
import { StoreError } from './store.ts'

interface Holder {
  readonly pid: number
  readonly host: string
  readonly sinceMs: number
  /** Name of the socket in the folder; absent where the file system holds none. */
  readonly socket?: string
  /** What distinguishes this run of the process id from a later one; empty where the system does not say. */
  readonly run: string | undefined
}

export interface FolderLock {
  /** Lets the next process in. */
  release(): Promise<void>
}

export interface FolderLockOptions {
  /** Epoch ms, to be shown to a process that finds the folder taken. */
  readonly nowMs: number
  /** For file systems without sockets, and for tests of that case. Default true. */
  readonly useSocket?: boolean
  /** For tests of races: awaited when the last holder was found dead and the next number is about to be taken. */
  readonly beforeTaking?: () => Promise<void>
}

/** A system's limit on the path of a socket is 104 to 108 bytes. */
const socketPathLengthMax = 100
const attemptsMax = 1_000

/**
 * Takes the folder, making it where needed. Throws StoreError `folder_in_use`, which says who holds it and what
 * to do; `disk_read_only` or `disk_full` where it cannot be written.
 */
export async function lockFolder(folder: string, options: FolderLockOptions): Promise<FolderLock> {
  const name = `lock-${process.pid}-${randomBytes(6).toString('hex')}`
  const draft = join(folder, `${name}.tmp`)
  let server: ListeningServer | undefined
  try {
    makeFolder(folder)
    server = options.useSocket === false ? undefined : await listen(folder, `${name}.sock`)
    const holder: Holder = {
      pid: process.pid,
      host: hostname(),
      sinceMs: options.nowMs,
      run: runOf(process.pid),
      ...(server && { socket: `${name}.sock` }),
    }
    await writeFile(draft, JSON.stringify(holder), { mode: 0o600, flush: true })
    const number = await takeNumber(folder, draft, options.beforeTaking)
    const held = server
    let released: Promise<void> | undefined
    const release = async (): Promise<void> => {
      // An empty file says that its holder is gone, also where no socket does.
      await truncate(join(folder, `lock.${number}`))
      await held?.close()
    }
    return {
      release() {
        released ??= release()
        return released
      },
    }
  } catch (error) {
    await server?.close()
    throw lockError(error, folder)
  } finally {
    await rm(draft, { force: true }).catch(() => undefined)
  }
}

/** Links the draft as the next number and gives it, or throws `folder_in_use`. */
async function takeNumber(
  folder: string,
  draft: string,
  beforeTaking: FolderLockOptions['beforeTaking'],
): Promise<number> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const highest = Math.max(0, ...(await numbersIn(folder)))
    if (highest > 0 && (await isHeld(folder, highest))) continue
    const mine = highest + 1
    await beforeTaking?.()
    try {
      await link(draft, join(folder, `lock.${mine}`))
    } catch (error) {
      if (codeOf(error) === 'EEXIST') continue
      throw error
    }
    const numbers = await numbersIn(folder)
    if (numbers.some((number) => number > mine)) {
      await rm(join(folder, `lock.${mine}`), { force: true })
      continue
    }
    for (const number of numbers) if (number < mine) await removeOld(folder, number)
    return mine
  }
  throw new StoreError('folder_in_use', `${folder} is being taken by other processes: try again`)
}

async function numbersIn(folder: string): Promise<number[]> {
  const names = await readdir(folder)
  return names.flatMap((name) => {
    const number = /^lock\.(\d{1,15})$/.exec(name)?.[1]
    return number === undefined ? [] : [Number(number)]
  })
}

/** Throws `folder_in_use` when the holder lives; true when the file is gone already: look again. */
async function isHeld(folder: string, number: number): Promise<boolean> {
  let holder: Holder | undefined
  try {
    holder = await readHolder(folder, number)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return true
    throw error
  }
  if (holder !== undefined && (await isAlive(folder, holder))) throw inUse(folder, holder)
  return false
}

/** `undefined` where it was released, or where a power cut left no whole file. */
async function readHolder(folder: string, number: number): Promise<Holder | undefined> {
  const text = await readFile(join(folder, `lock.${number}`), 'utf8')
  try {
    const holder = JSON.parse(text) as Holder
    return Number.isSafeInteger(holder.pid) ? holder : undefined
  } catch {
    return undefined
  }
}

async function removeOld(folder: string, number: number): Promise<void> {
  const holder = await readHolder(folder, number).catch(() => undefined)
  if (holder?.socket !== undefined && /^lock-[\w-]+\.sock$/.test(holder.socket)) {
    await rm(join(folder, holder.socket), { force: true })
  }
  await rm(join(folder, `lock.${number}`), { force: true })
}

function isAlive(folder: string, holder: Holder): Promise<boolean> | boolean {
  if (holder.socket === undefined) {
    const run = runOf(holder.pid)
    return run === undefined ? false : run === holder.run
  }
  const address = addressOf(folder, holder.socket)
  return new Promise((resolve) => {
    const socket = createConnection(address.path)
    const end = (alive: boolean): void => {
      socket.destroy()
      address.close()
      resolve(alive)
    }
    socket.once('connect', () => end(true))
    // Nobody listens, or the file is gone; anything else (not permitted, too many waiting) is somebody.
    socket.once('error', (error) => end(!['ECONNREFUSED', 'ENOENT'].includes(codeOf(error) ?? '')))
  })
}

interface ListeningServer {
  close(): Promise<void>
}

/** Listens on a socket in the folder; `undefined` where the file system holds none. */
async function listen(folder: string, name: string): Promise<ListeningServer | undefined> {
  const address = addressOf(folder, name)
  const server: Server = createServer((socket) => socket.destroy())
  server.unref()
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(address.path, () => resolve())
    })
  } catch (error) {
    address.close()
    const code = codeOf(error) ?? ''
    if (code in codesOfErrno) throw error
    return undefined
  }
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          address.close()
          resolve()
        })
      }),
  }
}

/** The path of a socket; a long one goes by way of a handle on its folder. */
function addressOf(folder: string, name: string): { path: string; close(): void } {
  const path = join(folder, name)
  if (Buffer.byteLength(path) <= socketPathLengthMax || process.platform !== 'linux') {
    return { path, close: () => undefined }
  }
  const handle = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  return { path: `/proc/self/fd/${handle}/${name}`, close: () => closeSync(handle) }
}

/** What distinguishes a run of a process id from others: boot and start time. `undefined`: there is no such process. */
function runOf(pid: number): string | undefined {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return undefined
  }
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The start time is field 22; the name, field 2, may hold spaces and stands in parentheses.
    return `${boot}:${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`
  } catch {
    return ''
  }
}

function inUse(folder: string, { pid, host, sinceMs }: Holder): StoreError {
  const since = new Date(sinceMs).toISOString()
  return new StoreError(
    'folder_in_use',
    `${folder} is in use by process ${pid} on ${host} since ${since}: stop it (kill ${pid}), or choose another folder`,
  )
}

const codesOfErrno = {
  EACCES: 'disk_read_only',
  EPERM: 'disk_read_only',
  EROFS: 'disk_read_only',
  ENOTDIR: 'disk_read_only',
  ENOENT: 'disk_read_only',
  ENOSPC: 'disk_full',
  EDQUOT: 'disk_full',
} as const

function codeOf(error: unknown): string | undefined {
  return (error as { code?: string }).code
}

function lockError(error: unknown, folder: string): Error {
  if (error instanceof StoreError) return error
  const code = codesOfErrno[codeOf(error) as keyof typeof codesOfErrno] ?? 'disk_failed'
  const text = code === 'disk_full' ? 'there is no space left for' : 'cannot write to'
  const cause = error instanceof Error ? error.message : String(error)
  return new StoreError(code, `${text} ${folder}: ${cause}`, { cause: error })
}
