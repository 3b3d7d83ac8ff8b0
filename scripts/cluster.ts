/**
 * `npm run cluster`: a whole cluster on this machine, to try it out.
 *
 * Three state nodes, two monitors, two servers, a notifier, and a queue in this process. It prints where each one
 * listens; Ctrl-C stops all, servers first, so that bidders are informed and auctions are handed over.
 *
 * Invariant: no process outlives it. A start with the same folder continues with the state that is there.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { startLocalQueue, variablesOf } from '../tests/local-queue.ts'
import { root } from '../tests/processes.ts'
import { Station } from '../tests/station.ts'

const help = `Usage: npm run --silent cluster -- [--data FOLDER] [--shift N] [--source]

Starts a cluster on this machine: three state nodes, two monitors, two servers, a notifier and a queue.
Ctrl-C stops it. Kill a process by its pid to see what the others do.

Options:
  --data FOLDER  folder of all processes and their logs (default: data/cluster)
  --shift N      added to every port, for a second cluster on the same machine (default: 0)
  --source       run from source, not from dist/ (default: dist/ where it is built)
  --help         this text

The queue is in memory: notifications that it holds are lost when the cluster stops.
`

const address = '127.0.0.1'

interface Layout {
  readonly data: string
  readonly shift: number
  /** What node runs before the verb of a role. */
  readonly command: readonly string[]
}

interface Cluster {
  readonly queueUrl: string
  readonly nodes: readonly Station[]
  readonly monitors: readonly Station[]
  readonly servers: readonly Station[]
  readonly notifier: Station
  stop(): Promise<void>
}

/** Throws an error that says what is wrong with the command line; undefined: help was requested. */
function readLayout(): Layout | undefined {
  const { values } = parseArgs({
    options: {
      data: { type: 'string', default: 'data/cluster' },
      shift: { type: 'string', default: '0' },
      source: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const shift = Number(values.shift)
  if (!Number.isInteger(shift) || shift < -7000 || shift > 50_000)
    throw new Error(`--shift takes a number from -7000 to 50000, not ${values.shift}`)
  const built = join(root, 'dist/main.js')
  const isSource = values.source || !existsSync(built)
  const command = isSource ? ['--import', 'tsx', join(root, 'main.ts')] : [built]
  return { data: resolve(values.data), shift, command }
}

/** The file of a secret that all processes share, the same for all starts; its owner's alone. */
function secretFile(data: string, name: 'jwt.secret' | 'cluster.secret'): string {
  const path = join(data, name)
  if (!existsSync(path)) writeFileSync(path, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 })
  return path
}

/** The places of all processes; the ports are those of README.md. */
function stationsOf(layout: Layout, env: Readonly<Record<string, string>>) {
  const { data, shift, command } = layout
  const addresses = (first: number, count: number): string[] =>
    Array.from({ length: count }, (_, at) => `${address}:${first + at + shift}`)
  const station = (role: string, number: number, port: number, args: readonly string[]): Station => {
    const name = role === 'notifier' ? role : `${role === 'state' ? 'node' : role}-${number}`
    const dataDir = join(data, name)
    const listens = role === 'notifier' ? [] : ['--port', String(port + shift)]
    const hasHealth = role === 'state' || role === 'notifier'
    const healthPort = hasHealth ? port + 200 + shift : undefined
    return new Station({
      name,
      argv: [...command, role, ...args, ...listens, '--data', dataDir, '--json'],
      env: { ...env, ...(healthPort && { MARTILLO_HEALTH_PORT: String(healthPort) }) },
      logFile: join(data, 'logs', `${name}.log`),
      dataDir,
      address,
      port: port + shift,
      ...(healthPort && { healthPort }),
      hasOwnSignals: true,
    })
  }
  const nodes = addresses(7101, 3)
  const members = nodes.map((node, at) => `${at + 1}=${node}`).join(',')
  const links = ['--state', nodes.join(',')]
  const watched = ['--monitors', addresses(7201, 2).join(',')]
  return {
    nodes: [1, 2, 3].map((id) =>
      station('state', id, 7100 + id, ['--node-id', String(id), '--members', members]),
    ),
    monitors: [1, 2].map((id) => {
      const page = ['--page-port', String(8200 + id + shift)]
      return station('monitor', id, 7200 + id, ['--id', `monitor-${id}`, ...page, ...links])
    }),
    servers: [1, 2].map((id) =>
      station('server', id, 9080 + id, ['--id', `server-${id}`, ...links, ...watched]),
    ),
    notifier: station('notifier', 1, 7401, []),
  }
}

async function startCluster(layout: Layout): Promise<Cluster> {
  mkdirSync(join(layout.data, 'logs'), { recursive: true })
  const queue = await startLocalQueue()
  const env = {
    ...variablesOf(queue),
    MARTILLO_JWT_SECRET: readFileSync(secretFile(layout.data, 'jwt.secret'), 'utf8').trim(),
    MARTILLO_CLUSTER_SECRET_FILE: secretFile(layout.data, 'cluster.secret'),
  }
  const stations = stationsOf(layout, env)
  const { nodes, monitors, servers, notifier } = stations
  const startAll = (some: readonly Station[]) => Promise.all(some.map((station) => station.start()))
  const stopAll = (some: readonly Station[]) =>
    Promise.all(some.filter(({ isRunning }) => isRunning).map((station) => station.stop()))
  // A node waits for the others; servers, monitors and the notifier need the nodes and the queue.
  await startAll(nodes)
  await startAll([...monitors, notifier])
  await startAll(servers)
  return {
    ...stations,
    queueUrl: queue.endpoint,
    async stop() {
      await stopAll([...servers, notifier])
      await stopAll(monitors)
      await stopAll(nodes)
      await queue.stop()
    },
  }
}

function describe({ data }: Layout, cluster: Cluster): string {
  const { nodes, monitors, servers, notifier, queueUrl } = cluster
  const line = ({ name, facts, pid }: Station, more = ''): string =>
    `  ${name.padEnd(10)} ${String(facts['url']).padEnd(24)} pid ${String(pid).padEnd(8)} ${more}`
  const [server] = servers as [Station]
  const state = nodes.map(({ port }) => `${address}:${port}`).join(',')
  const isHere = `--url ${server.url} --data ${server.dataDir}`
  return `The cluster is up. Its data and logs are in ${data}

${nodes.map((node) => line(node, `health ${node.healthUrl}`)).join('\n')}
${monitors.map((monitor) => line(monitor, `page ${String(monitor.facts['healthUrl'])}`)).join('\n')}
${servers.map((one) => line(one)).join('\n')}
${line(notifier)}
  ${'queue'.padEnd(10)} ${queueUrl.padEnd(24)} pid ${process.pid}

  look     open ${server.url} in a browser
  sell     npx martillo auction create --title "A ship's clock" --opening 10 ${isHere}
  secret   export MARTILLO_CLUSTER_SECRET_FILE=${join(data, 'cluster.secret')}
  members  npx martillo state members --state ${state}
  pages    any name, and what npx martillo health-token prints as the password
  break    kill -9 a pid, and watch the pages of the monitors

Ctrl-C stops everything.
`
}

/** Resolves with the exit code. */
async function main(): Promise<number> {
  let layout: Layout | undefined
  try {
    layout = readLayout()
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${help}`)
    return 2
  }
  if (layout === undefined) {
    process.stdout.write(help)
    return 0
  }
  const signalled = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => {
        resolve()
        // A second one ends at once; children end with this process.
        process.once(signal, () => process.exit(130))
      })
  })
  process.stderr.write('cluster: starting eight processes\n')
  const starting = startCluster(layout)
  const isUp = await Promise.race([starting.then(() => true), signalled.then(() => false)])
  if (!isUp) return 130
  const cluster = await starting
  process.stdout.write(describe(layout, cluster))
  for (const station of [...cluster.nodes, ...cluster.monitors, ...cluster.servers, cluster.notifier])
    void station
      .ended()
      .then(({ code, signal }) =>
        process.stderr.write(`cluster: ${station.name} ended (${signal ?? code})\n`),
      )
  await signalled
  process.stderr.write('cluster: stopping; Ctrl-C again to stop at once\n')
  await cluster.stop()
  return 0
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`cluster: ${(error as Error).message}\n`)
    process.exit(1)
  },
)
