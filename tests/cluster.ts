/**
 * A cluster of real processes on one machine, for tests and drills.
 *
 * State nodes, servers, monitors, notifier and queue are stations: each can be killed, paused and started again.
 *
 * Invariant: nothing outlives `close`, or this process.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  builtMain,
  clusterEnv,
  freePort,
  healthHeaders,
  removeFolder,
  temporaryFolder,
  until,
} from './processes.ts'
import { Station } from './station.ts'

const queueProcess = fileURLToPath(new URL('queue-process.ts', import.meta.url))

/** What a state node says of itself. */
export interface NodeStatus {
  readonly nodeId: number
  readonly groups: readonly {
    readonly isLeader: boolean
    readonly leader: number
    readonly term: number
    readonly appliedIndex: number
    readonly members: readonly { readonly nodeId: number; readonly role: string }[]
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
  /** One key file for webhooks, instead of the key that follows from the secret for tokens. */
  readonly hasWebhookKeyFile?: boolean
  /** Further variables of all processes. */
  readonly env?: NodeJS.ProcessEnv
  readonly network?: Network
  /** Folder of one station other than its own below the deployment's. */
  readonly dataDirOf?: (name: string) => string | undefined
  /** Further variables of one station. */
  readonly envOf?: (name: string) => NodeJS.ProcessEnv
}

export class TestCluster {
  readonly folder = temporaryFolder()
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
    const { env, hasNotifier, hasWebhookKeyFile } = options
    this.#env = {
      ...clusterEnv,
      MARTILLO_JWT_SECRET: randomBytes(32).toString('base64url'),
      ...(hasNotifier === true && { MARTILLO_WEBHOOK_PRIVATE_ADDRESSES: 'allow' }),
      ...(hasWebhookKeyFile === true && { MARTILLO_WEBHOOK_KEY_FILE: this.webhookKeyFile }),
      ...env,
    }
    mkdirSync(join(this.folder, 'logs'))
  }

  /** Starts everything and waits until all of it listens. */
  static async open(options: ClusterOptions = {}): Promise<TestCluster> {
    const cluster = new TestCluster(options)
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
    const ports = await Promise.all(names.map(() => freePort()))
    const members = names.map((name, at) => `${at + 1}=${this.#network.addressOf(name)}:${ports[at]}`)
    for (const [at, port] of ports.entries())
      await this.#addNode(at + 1, ['--members', members.join(',')], port)
    await Promise.all(this.nodes.map((node) => node.start()))
    let queueEnv: NodeJS.ProcessEnv = {}
    if (hasNotifier) {
      this.queue = await this.#station('queue', [], {})
      await this.queue.start()
      queueEnv = this.queue.facts['env'] as NodeJS.ProcessEnv
    }
    for (let at = 0; at < monitors; at++) {
      const argv = ['monitor', '--state', this.stateNodes, '--id', `monitor-${at + 1}`]
      this.monitors.push(await this.#station(`monitor-${at + 1}`, argv, { hasHealth: true }))
    }
    await Promise.all(this.monitors.map((monitor) => monitor.start()))
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
    await until('all servers are ready', async () => {
      const answers = await Promise.all(this.servers.map((server) => this.isReady(server)))
      return answers.every(Boolean)
    })
  }

  async #addNode(nodeId: number, argv: readonly string[], port: number): Promise<Station> {
    const verb = ['state', '--node-id', String(nodeId), ...argv]
    const node = await this.#station(`node-${nodeId}`, verb, { port, hasHealth: true })
    this.nodes.push(node)
    return node
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
        : [builtMain(), ...verb, ...(verb[0] === 'notifier' ? [] : listens), '--data', dataDir, '--json']
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

  /** A node that will join: not started, and not a member yet. */
  async newNode(nodeId: number): Promise<Station> {
    const members = this.nodes.map(({ address, port }, at) => `${at + 1}=${address}:${port}`).join(',')
    return await this.#addNode(nodeId, ['--join', '--members', members], await freePort())
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
    return join(this.folder, 'webhook.key')
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

  /** The counters of a node by name, without `martillo_state_` and `_total`; those with labels are summed. */
  async countersOf(node: Station): Promise<Readonly<Record<string, number>>> {
    const text = await (await fetch(`${node.healthUrl}/metrics`, { headers: healthHeaders })).text()
    const counters: Record<string, number> = {}
    for (const [, name, value] of text.matchAll(/^martillo_state_(\w+)_total(?:\{[^}]*\})? (\d+)$/gm))
      counters[name as string] = (counters[name as string] ?? 0) + Number(value)
    return counters
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

  async isReady(station: Station): Promise<boolean> {
    return await isOk(`${station.healthUrl ?? station.url}/readyz`)
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

  /** Waits until the nodes have applied the same and hold the same; returns that hash. Rejects when they differ. */
  async untilEqual(nodes: readonly Station[] = this.nodes): Promise<string> {
    let marks: (string | undefined)[] = []
    const look = async (): Promise<boolean> => {
      const all = await Promise.all(nodes.map((node) => this.statusOf(node)))
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
    if (!keep) removeFolder(this.folder)
  }
}

async function isOk(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2_000) })).ok
  } catch {
    return false
  }
}
