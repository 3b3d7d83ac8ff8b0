/**
 * Real processes for tests, drills and benches: starts the built `martillo`.
 *
 * It waits for the line in which a role reports where it listens, and kills a process as a crash would.
 *
 * Invariant: nothing outlives the test that started it; every house has a free port and a folder of its own.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))
const main = join(root, 'dist/main.js')

/** The compiled `martillo`. Throws where it was not built. */
export function builtMain(): string {
  if (!existsSync(main)) throw new Error('dist/main.js is missing: run `npm run build` first')
  return main
}

/** What the processes of one run of tests know each other by. An empty variable takes it from a process. */
export const clusterEnv = {
  MARTILLO_CLUSTER_SECRET: randomBytes(32).toString('base64url'),
  MARTILLO_HEALTH_TOKEN: randomBytes(32).toString('base64url'),
}
/** For the health ports of these processes. */
export const healthHeaders = { authorization: `Bearer ${clusterEnv.MARTILLO_HEALTH_TOKEN}` }

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'martillo-'))
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface House {
  readonly url: string
  readonly dataDir: string
  readonly process: ChildProcess
  /** Sends a signal and resolves when the process is gone. */
  stop(signal?: NodeJS.Signals): Promise<Exit>
  operatorToken(): string
}

/** A port that is free now, for a house that must come back where its clients look for it. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Everything that a child writes, and how it ended. */
export function collect(child: ChildProcess): {
  stdout: () => string
  stderr: () => string
  exit: Promise<Exit>
} {
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr?.on('data', (chunk) => {
    stderr += chunk
  })
  const exit = new Promise<Exit>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  return { stdout: () => stdout, stderr: () => stderr, exit }
}

export function spawnMartillo(args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  return spawn(process.execPath, [builtMain(), ...args], {
    cwd: root,
    env: { ...process.env, ...clusterEnv, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** The record in which a role reports that it listens. */
export type ListeningRecord = { readonly url: string } & Readonly<Record<string, unknown>>

/**
 * Waits for the record in which a role reports that it listens. Rejects when the process ends instead: `ended`
 * resolves with how, for the message.
 */
export async function listening(child: ChildProcess, ended: Promise<string>): Promise<ListeningRecord> {
  return await new Promise((resolve, reject) => {
    let rest = ''
    const look = (chunk: Buffer): void => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (!line.startsWith('{')) continue
        const record = JSON.parse(line) as { event?: string; url?: string }
        if (record.event !== 'listening' || record.url === undefined) continue
        child.stdout?.off('data', look)
        child.stdout?.resume()
        resolve({ ...record, url: record.url })
        return
      }
    }
    child.stdout?.on('data', look)
    void ended.then((how) => reject(new Error(`it ended at start: ${how}`)))
  })
}

/** Starts `martillo start --json` and waits until it listens; rejects with its output when it ends instead. */
export async function startHouse(options: {
  readonly dataDir: string
  /** 0, the default, is any free port. */
  readonly port?: number
  readonly args?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}): Promise<House> {
  const child = spawnMartillo(
    [
      'start',
      '--json',
      '--port',
      String(options.port ?? 0),
      '--data',
      options.dataDir,
      ...(options.args ?? []),
    ],
    options.env,
  )
  const output = collect(child)
  const ended = output.exit.then((exit) => JSON.stringify(exit))
  const { url } = await listening(child, ended)
  return {
    url,
    dataDir: options.dataDir,
    process: child,
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      return await output.exit
    },
    operatorToken: () => readFileSync(join(options.dataDir, 'operator.token'), 'utf8').trim(),
  }
}

/** Runs `martillo ARGS` to its end. */
export async function martillo(args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Exit> {
  return await collect(spawnMartillo(args, env)).exit
}

/** Whether a tool that a user's machine may lack is here; CI requires it. */
export function hasTool(name: string, command: string, args: readonly string[]): boolean {
  const found = spawnSync(command, args, { stdio: 'ignore' }).status === 0
  if (!found && process.env['TEST_REQUIRE_TOOLS'] === '1') throw new Error(`${name} is required and missing`)
  return found
}

/** A file of the recorded data beside the project, or `undefined` where it is not there; CI requires it. */
export function sharedFile(path: string): string | undefined {
  const file = join(root, '../shared', path)
  if (existsSync(file)) return file
  if (process.env['TEST_REQUIRE_SHARED'] === '1') throw new Error(`../shared/${path} is required and missing`)
  return undefined
}

/** Polls until a condition holds. The timeout is a bound, not a measure: it is generous on a loaded machine. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 60_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** One HTTP call; both bodies are JSON. */
export async function call(
  url: string,
  method: string,
  path: string,
  options: { readonly token?: string; readonly body?: unknown; readonly key?: string } = {},
): Promise<{ readonly status: number; readonly body: Record<string, unknown>; readonly headers: Headers }> {
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
      ...(options.key === undefined ? {} : { 'idempotency-key': options.key }),
    },
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
  })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json') === true
  return { status: response.status, body: isJson ? JSON.parse(text) : { text }, headers: response.headers }
}
