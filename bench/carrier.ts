/**
 * Bench: the cost of a message and of a request on each carrier.
 *
 * Each carrier runs in a process of its own (`carrier-process.ts`), the clients in this one. Processor time of the
 * server is measured, because the clients share the machine with it.
 *
 * Invariant: both carriers get the same bytes in the same order; rounds alternate between them.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Command, Reply } from './carrier-process.ts'
import { median, type Report } from './report.ts'

const serverFile = fileURLToPath(new URL('carrier-process.ts', import.meta.url))
const rounds = 3
const echo = { sockets: 100, perTurn: 10, turns: 100, bytes: 200 } as const
const fanOut = { sockets: 1000, publications: 100, bytes: 400 } as const
const requests = { connections: 20, each: 500 } as const

class Server {
  readonly port: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
  }

  static async start(carrier: string): Promise<Server> {
    const child = fork(serverFile, [carrier])
    const [{ port }] = (await once(child, 'message')) as [{ port: number }]
    return new Server(child, port)
  }

  async ask(command: Command): Promise<Reply> {
    const answer = once(this.#child, 'message')
    this.#child.send(command)
    return ((await answer) as [Reply])[0]
  }

  /** Microseconds of processor time that `work` cost the server. */
  async cost(work: () => Promise<void>): Promise<number> {
    const before = (await this.ask({ command: 'cpu' })) as { cpuMicros: number }
    await work()
    const after = (await this.ask({ command: 'cpu' })) as { cpuMicros: number }
    return after.cpuMicros - before.cpuMicros
  }

  stop(): void {
    this.#child.kill('SIGKILL')
  }
}

/** A connection that counts what comes. */
class Client {
  readonly #socket: Socket
  bytes = 0
  #awaited: { readonly bytes: number; readonly done: () => void } | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk) => {
      this.bytes += chunk.length
      if (this.#awaited !== undefined && this.bytes >= this.#awaited.bytes) this.#awaited.done()
    })
  }

  static async open(port: number): Promise<Client> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new Client(socket)
  }

  static async openWebSocket(port: number): Promise<Client> {
    const client = await Client.open(port)
    const head = 'GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
    client.write(`${head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`)
    await once(client.#socket, 'data')
    return client
  }

  write(bytes: string | Uint8Array): void {
    this.#socket.write(bytes)
  }

  /** Resolves when so many bytes came in all. */
  async until(bytes: number): Promise<void> {
    if (this.bytes >= bytes) return
    await new Promise<void>((resolve) => {
      this.#awaited = { bytes, done: resolve }
    })
    this.#awaited = undefined
  }

  close(): void {
    this.#socket.destroy()
  }
}

async function withClients(
  count: number,
  open: () => Promise<Client>,
  use: (clients: readonly Client[]) => Promise<void>,
): Promise<void> {
  const clients = await Promise.all(Array.from({ length: count }, open))
  await use(clients)
  for (const client of clients) client.close()
}

/** A masked text frame of 126 to 65,535 bytes. */
function textFrame(bytes: number): Buffer {
  const frame = Buffer.alloc(8 + bytes, 'x')
  frame.set([0x81, 0x80 | 126, bytes >> 8, bytes & 255, 0, 0, 0, 0])
  return frame
}

async function echoMicros(server: Server): Promise<number> {
  const batch = Buffer.concat(Array<Buffer>(echo.perTurn).fill(textFrame(echo.bytes)))
  let micros = 0
  await withClients(
    echo.sockets,
    () => Client.openWebSocket(server.port),
    async (clients) => {
      const from = clients.map(({ bytes }) => bytes)
      micros = await server.cost(async () => {
        for (let turn = 1; turn <= echo.turns; turn += 1) {
          for (const client of clients) client.write(batch)
          const bytes = turn * echo.perTurn * (4 + echo.bytes)
          await Promise.all(clients.map((client, at) => client.until((from[at] as number) + bytes)))
        }
      })
    },
  )
  return micros / (echo.sockets * echo.perTurn * echo.turns)
}

async function deliveryMicros(server: Server): Promise<number> {
  let micros = 0
  await withClients(
    fanOut.sockets,
    () => Client.openWebSocket(server.port),
    async (clients) => {
      const from = clients.map(({ bytes }) => bytes)
      micros = await server.cost(async () => {
        await server.ask({ command: 'publish', text: 'x'.repeat(fanOut.bytes), times: fanOut.publications })
        const bytes = fanOut.publications * (4 + fanOut.bytes)
        await Promise.all(clients.map((client, at) => client.until((from[at] as number) + bytes)))
      })
    },
  )
  return micros / (fanOut.sockets * fanOut.publications)
}

async function requestMicros(server: Server): Promise<number> {
  let micros = 0
  await withClients(
    requests.connections,
    () => Client.open(server.port),
    async (clients) => {
      const request = 'GET /up HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\nUser-Agent: bench\r\n\r\n'
      micros = await server.cost(async () => {
        await Promise.all(
          clients.map(async (client) => {
            client.write(request)
            await client.until(1)
            const length = client.bytes
            for (let at = 1; at < requests.each; at += 1) {
              client.write(request)
              await client.until((at + 1) * length)
            }
          }),
        )
      })
    },
  )
  return micros / (requests.connections * requests.each)
}

const workloads = { echo: echoMicros, delivery: deliveryMicros, request: requestMicros } as const
type Workload = keyof typeof workloads

export async function carrier(): Promise<Report> {
  const names = Object.keys(workloads) as Workload[]
  const nanos = new Map<string, number[]>()
  const nanosOf = (one: string, name: Workload): number[] => {
    const key = `${one} ${name}`
    if (!nanos.has(key)) nanos.set(key, [])
    return nanos.get(key) as number[]
  }
  for (let round = 0; round <= rounds; round += 1)
    for (const one of ['uws', 'node']) {
      const server = await Server.start(one)
      for (const name of names) {
        const value = await workloads[name](server)
        // The first round warms the machine up.
        if (round > 0) nanosOf(one, name).push(value * 1000)
      }
      server.stop()
    }
  const figures = Object.fromEntries(
    names.map((name) => {
      const [uws, node] = ['uws', 'node'].map((one) => Math.round(median(nanosOf(one, name)))) as [
        number,
        number,
      ]
      return [name, { uwsCpuNanos: uws, nodeCpuNanos: node, ratio: Number((node / uws).toFixed(2)) }]
    }),
  )
  const report = { ...figures, rounds, echoes: echo, fanOut, requests }
  return report
}
