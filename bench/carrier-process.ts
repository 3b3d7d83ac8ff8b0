/**
 * One carrier in a process of its own, for the bench of carriers.
 *
 * It echoes messages, answers requests and publishes on command. Commands and figures pass over the channel of `fork`.
 *
 * Invariant: the processor time that it reports is that of this process alone.
 */
import { systemClock } from '../runtime/clock.ts'
import { openEdge } from '../server/carrier/open-edge.ts'
import type { Socket } from '../server/carrier/socket.ts'

export type Command =
  | { readonly command: 'cpu' }
  | { readonly command: 'publish'; readonly text: string; readonly times: number }
export type Reply =
  | { readonly port: number }
  | { readonly cpuMicros: number }
  | { readonly published: number }

interface Session {
  socket?: Socket
  readonly answers: string[]
}

const text = new TextDecoder()
const reply = (value: Reply): void => void process.send?.(value)

const edge = await openEdge<Session>(
  { carrier: process.argv[2] === 'node' ? 'node' : 'uws', warn: () => undefined },
  {
    host: '127.0.0.1',
    port: 0,
    socketPath: '/ws',
    messageBytesMax: 16 * 1024,
    bufferedBytesMax: 1024 * 1024,
    idleTimeoutSeconds: 120,
    messageTimeoutMs: 10_000,
    clock: systemClock,
  },
  {
    http: () => ({ status: 200, headers: { 'Content-Type': 'application/json' }, body: '{"status":"up"}' }),
    upgrade: () => ({ accept: true, subprotocol: '', session: { answers: [] } }),
    open: (session, socket) => {
      session.socket = socket
      socket.subscribe('all')
    },
    message: (session, bytes) => {
      // As sessions do: the answers of a turn leave together.
      if (session.answers.push(text.decode(bytes)) === 1) process.nextTick(() => flush(session))
    },
    drain: () => undefined,
    dropped: () => {
      throw new Error('a client of the bench did not read fast enough')
    },
    ping: () => undefined,
    pong: () => undefined,
    close: () => undefined,
    fault: (error) => {
      throw error
    },
  },
)

function flush({ socket, answers }: Session): void {
  socket?.cork(() => {
    for (const answer of answers.splice(0)) socket.send(answer)
  })
}

async function publish(message: string, times: number): Promise<void> {
  for (let at = 0; at < times; at += 1) {
    edge.publish('all', message)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  reply({ published: times })
}

process.on('message', (command: Command) => {
  if (command.command === 'publish') void publish(command.text, command.times)
  else {
    const { user, system } = process.cpuUsage()
    reply({ cpuMicros: user + system })
  }
})
process.on('disconnect', () => process.exit(0))
reply({ port: edge.port })
