/**
 * A cluster of real processes on loopback: state nodes and servers.
 *
 * Each has a folder and a port that it keeps, so that it can be killed and come back.
 *
 * Invariant: nothing outlives `close`; a node that is started again is the same node.
 */
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  collect,
  type Exit,
  freePort,
  healthHeaders,
  listening,
  removeFolder,
  spawnMartillo,
  temporaryFolder,
} from './processes.ts'

export interface ClusterOptions {
  readonly nodes: number
  readonly servers: number
  /** Further variables of all processes. */
  readonly env?: NodeJS.ProcessEnv
}

interface Process {
  readonly child: ChildProcess
  readonly exit: Promise<Exit>
  readonly output: ReturnType<typeof collect>
}

/** One state node or server, running or not. */
export class Member {
  readonly name: string
  readonly port: number
  readonly dataDir: string
  readonly #args: readonly string[]
  readonly #env: NodeJS.ProcessEnv
  #process: Process | undefined

  constructor(name: string, port: number, dataDir: string, args: readonly string[], env: NodeJS.ProcessEnv) {
    this.name = name
    this.port = port
    this.dataDir = dataDir
    this.#args = args
    this.#env = env
  }

  get isRunning(): boolean {
    return (
      this.#process !== undefined &&
      this.#process.child.exitCode === null &&
      this.#process.child.signalCode === null
    )
  }

  get pid(): number {
    return this.#running().child.pid as number
  }

  get stderr(): string {
    return this.#process?.output.stderr() ?? ''
  }

  /** `more`: further variables of this start alone. */
  async start(more: NodeJS.ProcessEnv = {}): Promise<void> {
    const args = [...this.#args, '--port', String(this.port), '--data', this.dataDir, '--json']
    const child = spawnMartillo(args, { ...this.#env, ...more })
    const output = collect(child)
    this.#process = { child, exit: output.exit, output }
    await listening(child, output)
  }

  signal(signal: NodeJS.Signals): void {
    this.#running().child.kill(signal)
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    this.signal(signal)
    return await this.#running().exit
  }

  /** Resolves when the process has ended by itself. */
  async ended(): Promise<Exit> {
    return await this.#running().exit
  }

  #running(): Process {
    if (this.#process === undefined) throw new Error(`${this.name} does not run`)
    return this.#process
  }
}

/** What a state node says of one of its groups. */
export interface NodeStatus {
  readonly nodeId: number
  readonly groups: readonly {
    readonly isLeader: boolean
    readonly leader: number
    readonly term: number
    readonly appliedIndex: number
    readonly firstIndex: number
    readonly members: readonly { readonly nodeId: number; readonly role: string }[]
  }[]
  readonly state: readonly { readonly stateHash: string; readonly appliedIndex: number }[]
}

export class TestCluster {
  readonly nodes: Member[] = []
  readonly servers: Member[] = []
  readonly folder = temporaryFolder()
  /** Variables of all its processes. */
  readonly env: NodeJS.ProcessEnv
  readonly #healthPorts = new Map<Member, number>()

  private constructor(env: NodeJS.ProcessEnv) {
    this.env = env
  }

  static async open(options: ClusterOptions): Promise<TestCluster> {
    const secret = randomBytes(32).toString('base64url')
    const cluster = new TestCluster({ ...options.env, MARTILLO_JWT_SECRET: secret })
    await cluster.begin(options)
    return cluster
  }

  /** Adds so many of each, started. */
  async begin({ nodes, servers }: Pick<ClusterOptions, 'nodes' | 'servers'>): Promise<void> {
    const ports: number[] = []
    for (let at = 0; at < nodes; at++) ports.push(await freePort())
    const members = ports.map((port, at) => `${at + 1}=127.0.0.1:${port}`).join(',')
    for (const [at, port] of ports.entries()) await this.#addNode(at + 1, port, ['--members', members])
    await Promise.all(this.nodes.map((node) => node.start()))
    for (let at = 0; at < servers; at++) {
      const server = new Member(
        `server-${at + 1}`,
        await freePort(),
        join(this.folder, `server-${at + 1}`),
        ['server', '--id', `server-${at + 1}`, '--state', this.stateNodes],
        this.env,
      )
      this.servers.push(server)
      await server.start()
    }
  }

  /** Of all nodes, as servers and tools want them. */
  get stateNodes(): string {
    return this.nodes.map((node) => `127.0.0.1:${node.port}`).join(',')
  }

  urlOf(server: Member): string {
    return `http://127.0.0.1:${server.port}`
  }

  operatorToken(): string {
    return readFileSync(join((this.servers[0] as Member).dataDir, 'operator.token'), 'utf8').trim()
  }

  /** A node that will join: not started, and not a member yet. */
  async newNode(nodeId: number): Promise<Member> {
    const members = this.nodes.map((node, at) => `${at + 1}=127.0.0.1:${node.port}`).join(',')
    return await this.#addNode(nodeId, await freePort(), ['--join', '--members', members])
  }

  healthUrlOf(node: Member): string {
    return `http://127.0.0.1:${this.#healthPorts.get(node)}`
  }

  async statusOf(node: Member): Promise<NodeStatus> {
    const response = await fetch(`${this.healthUrlOf(node)}/status`, { headers: healthHeaders })
    return (await response.json()) as NodeStatus
  }

  async isReady(node: Member): Promise<boolean> {
    try {
      return (await fetch(`${this.healthUrlOf(node)}/readyz`)).ok
    } catch {
      return false
    }
  }

  /** The counters of a node by name, without `martillo_state_` and `_total`; those with labels are summed. */
  async countersOf(node: Member): Promise<Readonly<Record<string, number>>> {
    const text = await (await fetch(`${this.healthUrlOf(node)}/metrics`, { headers: healthHeaders })).text()
    const counters: Record<string, number> = {}
    for (const [, name, value] of text.matchAll(/^martillo_state_(\w+)_total(?:\{[^}]*\})? (\d+)$/gm))
      counters[name as string] = (counters[name as string] ?? 0) + Number(value)
    return counters
  }

  /** The node that leads group 0, as it says itself; `undefined` while none does. */
  async leader(): Promise<Member | undefined> {
    for (const node of this.nodes.filter(({ isRunning }) => isRunning)) {
      const status = await this.statusOf(node).catch(() => undefined)
      if (status?.groups[0]?.isLeader === true) return node
    }
    return undefined
  }

  /** Whether all running nodes have applied the same and hold the same. */
  async isEqual(): Promise<boolean> {
    const all = await Promise.all(
      this.nodes.filter(({ isRunning }) => isRunning).map((node) => this.statusOf(node)),
    )
    const marks = all.map(({ state }) =>
      JSON.stringify(state.map(({ stateHash, appliedIndex }) => [stateHash, appliedIndex])),
    )
    return marks.every((mark) => mark === marks[0])
  }

  async close(): Promise<void> {
    for (const member of [...this.servers, ...this.nodes]) {
      if (!member.isRunning) continue
      member.signal('SIGCONT')
      await member.stop('SIGKILL')
    }
    removeFolder(this.folder)
  }

  async #addNode(nodeId: number, port: number, args: readonly string[]): Promise<Member> {
    const healthPort = await freePort()
    const node = new Member(
      `node-${nodeId}`,
      port,
      join(this.folder, `node-${nodeId}`),
      ['state', '--node-id', String(nodeId), ...args],
      { ...this.env, MARTILLO_HEALTH_PORT: String(healthPort) },
    )
    this.#healthPorts.set(node, healthPort)
    this.nodes.push(node)
    return node
  }
}
