/**
 * A whole deployment of real processes on one machine, for drills.
 *
 * State nodes, servers, monitors, notifier and queue each have a folder, a port and a log of their own, so that each can
 * be killed, paused and started again as itself. Load is in load.ts, the verdict in audit.ts, separate networks in
 * network.ts.
 *
 * Invariant: nothing outlives `close`, or this process; a station that is started again is the same station.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { clusterEnv, freePort, healthHeaders, listeningUnless, root, until } from '../processes.ts'

const main = join(root, 'dist/main.js')
const queueProcess = fileURLToPath(new URL('queue-process.ts', import.meta.url))

/** Children of all deployments: they end with this process, however it ends. */
const living = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL')
})

/** How one start differs from the others: variables, and a command that runs the process (`ip netns exec …`). */
export interface StartOptions {
  readonly env?: NodeJS.ProcessEnv
}

interface StationOptions {
  readonly name: string
  readonly argv: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly logFile: string
  readonly dataDir: string
  readonly address: string
  readonly port: number
  readonly healthPort?: number
  /** Command in front of the process. */
  readonly wrap: readonly string[]
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
  #ended: Promise<number | NodeJS.Signals | null> = Promise.resolve(null)
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

  /** Begins a start; resolves with its first record when it listens. */
  launch({ env = {} }: StartOptions = {}): Promise<Readonly<Record<string, unknown>>> {
    const { wrap, argv, logFile, hasOwnSignals = false } = this.#options
    const log = openSync(logFile, 'a')
    const [command, ...args] = [...wrap, process.execPath, ...argv] as [string, ...string[]]
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...this.#options.env, ...env },
      stdio: ['ignore', 'pipe', log],
      detached: hasOwnSignals,
    })
    closeSync(log)
    this.#child = child
    living.add(child)
    this.#ended = new Promise((resolve) => {
      child.on('exit', (code, signal) => {
        living.delete(child)
        resolve(signal ?? code)
      })
    })
    const ended = this.#ended.then((how) => `${this.name} (${how}): ${this.log.slice(-2_000)}`)
    return listeningUnless(child, ended).then((record) => {
      this.facts = record
      return record
    })
  }

  /** Starts and waits until it listens. Rejects with the end of its log where it ends instead. */
  async start(options: StartOptions = {}): Promise<void> {
    await this.launch(options)
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

  /** Stops by plan (SIGTERM); resolves with how it ended. */
  async stop(): Promise<number | NodeJS.Signals | null> {
    this.signal('SIGTERM')
    return await this.#ended
  }

  /** Resolves when it has ended by itself. */
  async ended(): Promise<number | NodeJS.Signals | null> {
    return await this.#ended
  }
}

/** What a state node says of itself. */
export interface NodeStatus {
  readonly nodeId: number
  readonly groups: readonly {
    readonly isLeader: boolean
    readonly leader: number
    readonly term: number
    readonly appliedIndex: number
  }[]
  readonly state: readonly { readonly stateHash: string; readonly appliedIndex: number }[]
}

/** Where stations live: on loopback, or each in a network of its own. */
export interface Network {
  addressOf(name: string): string
  wrapOf(name: string): readonly string[]
}

const loopback: Network = { addressOf: () => '127.0.0.1', wrapOf: () => [] }

export interface ClusterOptions {
  readonly nodes?: number
  readonly servers?: number
  readonly monitors?: number
  /** With queue and notifier. */
  readonly hasNotifier?: boolean
  readonly network?: Network
  /** Folder of one station other than its own below the deployment's. */
  readonly dataDirOf?: (name: string) => string | undefined
  /** Further variables of one station. */
  readonly envOf?: (name: string) => NodeJS.ProcessEnv
}

/** High limits, so that load is not refused; the limits have tests of their own. */
const roomyLimits: NodeJS.ProcessEnv = {
  MARTILLO_BIDS_PER_SECOND: '100000',
  MARTILLO_BIDS_BURST: '100000',
  MARTILLO_FRAMES_PER_SECOND: '100000',
  MARTILLO_FRAMES_BURST: '100000',
  MARTILLO_REQUESTS_PER_SECOND: '100000',
  MARTILLO_REQUESTS_BURST: '100000',
  MARTILLO_SUBSCRIPTIONS_PER_SOCKET_MAX: '20000',
}

export class DrillCluster {
  readonly folder = mkdtempSync(join(tmpdir(), 'martillo-drill-'))
  readonly nodes: Station[] = []
  readonly servers: Station[] = []
  readonly monitors: Station[] = []
  notifier: Station | undefined
  queue: Station | undefined
  readonly #network: Network
  readonly #options: ClusterOptions
  readonly #env: NodeJS.ProcessEnv
  #isClosed = false

  private constructor(options: ClusterOptions) {
    this.#options = options
    this.#network = options.network ?? loopback
    this.#env = {
      ...clusterEnv,
      ...roomyLimits,
      MARTILLO_JWT_SECRET: randomBytes(32).toString('base64url'),
      MARTILLO_WEBHOOK_KEY_FILE: join(this.folder, 'webhook.key'),
      MARTILLO_WEBHOOK_PRIVATE_ADDRESSES: 'allow',
      MARTILLO_LOG_LEVEL: 'info',
      MARTILLO_DRAIN_GRACE_MS: '1000',
      MARTILLO_HEARTBEAT_MS: '2000',
    }
    mkdirSync(join(this.folder, 'logs'))
  }

  /** Starts everything and waits until all of it listens. */
  static async open(options: ClusterOptions = {}): Promise<DrillCluster> {
    if (!existsSync(main)) throw new Error('dist/main.js is missing: run `npm run build` first')
    const cluster = new DrillCluster(options)
    try {
      await cluster.#startAll()
    } catch (error) {
      await cluster.close()
      throw error
    }
    return cluster
  }

  async #startAll(): Promise<void> {
    const { nodes = 3, servers = 2, monitors = 0, hasNotifier = false } = this.#options
    const names = Array.from({ length: nodes }, (_, at) => `node-${at + 1}`)
    const ports = new Map<string, number>()
    for (const name of names) ports.set(name, await freePort())
    const members = names
      .map((name, at) => `${at + 1}=${this.#network.addressOf(name)}:${ports.get(name)}`)
      .join(',')
    for (const [at, name] of names.entries()) {
      const port = ports.get(name) as number
      const argv = ['state', '--node-id', String(at + 1), '--members', members]
      this.nodes.push(await this.#station(name, argv, { port, hasHealth: true }))
    }
    await Promise.all(this.nodes.map((node) => node.start()))
    let queueEnv: NodeJS.ProcessEnv = {}
    if (hasNotifier) {
      this.queue = await this.#station('queue', [], {})
      await this.queue.start()
      queueEnv = this.queue.facts['env'] as NodeJS.ProcessEnv
    }
    if (monitors > 0) {
      for (let at = 0; at < monitors; at++) {
        const argv = ['monitor', '--state', this.stateNodes, '--id', `monitor-${at + 1}`]
        this.monitors.push(await this.#station(`monitor-${at + 1}`, argv, { hasHealth: true }))
      }
      await Promise.all(this.monitors.map((monitor) => monitor.start()))
    }
    const watchedBy =
      monitors === 0
        ? []
        : ['--monitors', this.monitors.map(({ address, port }) => `${address}:${port}`).join(',')]
    for (let at = 0; at < servers; at++) {
      const argv = ['server', '--id', `server-${at + 1}`, '--state', this.stateNodes, ...watchedBy]
      this.servers.push(await this.#station(`server-${at + 1}`, argv, { env: queueEnv }))
    }
    await Promise.all(this.servers.map((server) => server.start()))
    if (hasNotifier) {
      this.notifier = await this.#station('notifier', ['notifier'], { env: queueEnv })
      await this.notifier.start()
    }
    await until('a server is ready', async () => {
      const answers = await Promise.all(this.servers.map((server) => isOk(`${server.url}/readyz`)))
      return answers.every(Boolean)
    })
  }

  async #station(
    name: string,
    verb: readonly string[],
    how: { readonly port?: number; readonly env?: NodeJS.ProcessEnv; readonly hasHealth?: boolean },
  ): Promise<Station> {
    const port = how.port ?? (await freePort())
    const address = this.#network.addressOf(name)
    const dataDir = this.#options.dataDirOf?.(name) ?? join(this.folder, name)
    const healthPort = how.hasHealth === true ? await freePort() : undefined
    const listens = ['--host', address, '--port', String(port)]
    const argv =
      verb.length === 0
        ? ['--import', 'tsx', queueProcess, String(port)]
        : [main, ...verb, ...(verb[0] === 'notifier' ? [] : listens), '--data', dataDir, '--json']
    return new Station({
      name,
      argv,
      env: {
        ...this.#env,
        ...how.env,
        ...(healthPort === undefined
          ? {}
          : { MARTILLO_HEALTH_PORT: String(healthPort), MARTILLO_HEALTH_HOST: address }),
        ...this.#options.envOf?.(name),
      },
      logFile: join(this.folder, 'logs', `${name}.log`),
      dataDir,
      address,
      port,
      ...(healthPort === undefined ? {} : { healthPort }),
      wrap: this.#network.wrapOf(name),
    })
  }

  get all(): readonly Station[] {
    const rest = [this.notifier, this.queue].filter((station) => station !== undefined)
    return [...this.servers, ...this.monitors, ...this.nodes, ...rest]
  }

  get stateNodes(): string {
    return this.nodes.map(({ address, port }) => `${address}:${port}`).join(',')
  }

  get serverUrls(): readonly string[] {
    return this.servers.map(({ url }) => url)
  }

  operatorToken(): string {
    return readFileSync(join((this.servers[0] as Station).dataDir, 'operator.token'), 'utf8').trim()
  }

  get webhookKeyFile(): string {
    return this.#env['MARTILLO_WEBHOOK_KEY_FILE'] as string
  }

  /** What a state node says; `undefined` while it says nothing. */
  async statusOf(node: Station): Promise<NodeStatus | undefined> {
    try {
      const response = await fetch(`${node.healthUrl}/status`, {
        headers: healthHeaders,
        signal: AbortSignal.timeout(2_000),
      })
      return (await response.json()) as NodeStatus
    } catch {
      return undefined
    }
  }

  /** The node that says that it leads, of the highest term where two say so; `undefined` while none does. */
  async leader(): Promise<Station | undefined> {
    let best: { node: Station; term: number } | undefined
    const running = this.nodes.filter(({ isRunning }) => isRunning)
    const all = await Promise.all(running.map(async (node) => [node, await this.statusOf(node)] as const))
    for (const [node, status] of all) {
      const group = status?.groups[0]
      if (group?.isLeader === true && group.term > (best?.term ?? -1)) best = { node, term: group.term }
    }
    return best?.node
  }

  /** The term that a node is in; 0 while it does not say. */
  async termOf(node: Station): Promise<number> {
    return (await this.statusOf(node))?.groups[0]?.term ?? 0
  }

  /** Waits for a leader that holds. */
  async untilLed(): Promise<Station> {
    let found: Station | undefined
    await until('a node leads', async () => {
      found = await this.leader()
      return found !== undefined
    })
    return found as Station
  }

  /** Waits until a node that was away has applied what the leader had applied when this was called. */
  async untilCaughtUp(node: Station): Promise<void> {
    const leader = await this.untilLed()
    const target = (await this.statusOf(leader))?.groups[0]?.appliedIndex ?? 0
    await until(`${node.name} has caught up`, async () => {
      const applied = (await this.statusOf(node))?.groups[0]?.appliedIndex
      return applied !== undefined && applied >= target
    })
  }

  /** Waits until every node has applied the same and holds the same; returns that hash. Rejects when they differ. */
  async untilEqual(): Promise<string> {
    let marks: (string | undefined)[] = []
    const look = async (): Promise<boolean> => {
      const all = await Promise.all(this.nodes.map((node) => this.statusOf(node)))
      marks = all.map((status) =>
        status?.state.map((group) => `${group.appliedIndex} ${group.stateHash}`).join(';'),
      )
      return marks[0] !== undefined && marks.every((mark) => mark === marks[0])
    }
    await until('all nodes hold the same', look).catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(marks)}`)
    })
    return marks[0] as string
  }

  /** Resumes the paused stations and starts the ended ones. */
  async heal(): Promise<void> {
    for (const station of this.all) {
      station.resume()
      if (!station.isRunning) await station.start()
    }
  }

  /** Kills everything; keeps the folder with the logs where something failed. */
  async close({ keep = false } = {}): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await Promise.all(
      this.all.map(async (station) => {
        if (!station.isRunning) return
        station.resume()
        await station.kill()
      }),
    )
    if (!keep) rmSync(this.folder, { recursive: true, force: true })
  }
}

async function isOk(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2_000) })).ok
  } catch {
    return false
  }
}
