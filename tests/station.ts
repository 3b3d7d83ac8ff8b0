/**
 * One real process that keeps its name, folder, port and log.
 *
 * It can be killed, paused and started again as itself. How several become a cluster is in cluster.ts.
 *
 * Invariant: nothing outlives this process; a station that is started again is the same station.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { type Exit, listening, root } from './processes.ts'

/** Children of all deployments: they end with this process, however it ends. */
const living = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL')
})

/** How it ended. `stderr` is of its last start. */
type End = Omit<Exit, 'stdout'>

export interface StationOptions {
  readonly name: string
  readonly argv: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly logFile: string
  readonly dataDir: string
  readonly address: string
  readonly port: number
  readonly healthPort?: number
  /** Command in front of the process (`ip netns exec …`). */
  readonly wrap?: readonly string[]
  /** Signals of the terminal do not reach it: its starter stops it. */
  readonly hasOwnSignals?: boolean
}

/** One process of the deployment, running or not. */
export class Station {
  readonly name: string
  readonly port: number
  readonly address: string
  readonly dataDir: string
  readonly healthUrl: string | undefined
  readonly #options: StationOptions
  #child: ChildProcess | undefined
  #ended: Promise<End> = Promise.resolve({ code: null, signal: null, stderr: '' })
  /** What its first line said at the last start. */
  facts: Readonly<Record<string, unknown>> = {}

  constructor(options: StationOptions) {
    this.#options = options
    this.name = options.name
    this.port = options.port
    this.address = options.address
    this.dataDir = options.dataDir
    this.healthUrl =
      options.healthPort === undefined ? undefined : `http://${options.address}:${options.healthPort}`
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  get url(): string {
    return `http://${this.address}:${this.port}`
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Everything that it wrote to standard error over all its starts. */
  get log(): string {
    return existsSync(this.#options.logFile) ? readFileSync(this.#options.logFile, 'utf8') : ''
  }

  /**
   * Starts and waits until it listens. Rejects with the end of its log where it ends instead.
   * `more`: variables of this start alone.
   */
  async start(more: NodeJS.ProcessEnv = {}): Promise<void> {
    const { wrap = [], argv, logFile, hasOwnSignals = false } = this.#options
    const earlier = this.log.length
    const log = openSync(logFile, 'a')
    const [command, ...args] = [...wrap, process.execPath, ...argv] as [string, ...string[]]
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...this.#options.env, ...more },
      stdio: ['ignore', 'pipe', log],
      detached: hasOwnSignals,
    })
    closeSync(log)
    this.#child = child
    living.add(child)
    this.#ended = new Promise((resolve) => {
      child.on('exit', (code, signal) => {
        living.delete(child)
        resolve({ code, signal, stderr: this.log.slice(earlier) })
      })
    })
    const ended = this.#ended.then(
      ({ code, signal, stderr }) => `${this.name} (${signal ?? code}): ${stderr.slice(-2_000)}`,
    )
    this.facts = await listening(child, ended)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** `kill -9`, at once; resolves when it is gone. */
  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.#ended
  }

  pause(): void {
    this.signal('SIGSTOP')
  }

  resume(): void {
    this.signal('SIGCONT')
  }

  /** Stops by plan (SIGTERM). */
  async stop(): Promise<End> {
    this.signal('SIGTERM')
    return await this.#ended
  }

  /** Resolves when it has ended. */
  async ended(): Promise<End> {
    return await this.#ended
  }
}
