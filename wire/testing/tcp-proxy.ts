/**
 * A TCP proxy for tests.
 *
 * It can stop forwarding without closing (a half-open connection), cut, flip a bit, or pass only so many bytes.
 * Invariant: unless a test asks for a fault, it forwards bytes in order and unchanged.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Address } from '../stream.ts'

export class TcpProxy {
  readonly #target: Address
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #targets = new Set<Socket>()
  /** Neither direction is forwarded; sockets stay open. */
  stuck = false
  /** Nothing is read from the target, so that it feels a client that does not read. */
  set hold(held: boolean) {
    for (const socket of this.#targets) {
      if (held) socket.pause()
      else socket.resume()
    }
  }

  /** Changes bytes that go to the target. */
  tamper: ((chunk: Buffer) => Buffer) | undefined
  connections = 0

  private constructor(target: Address) {
    this.#target = target
    this.#server = createServer((client) => this.#join(client))
  }

  static async open(target: Address): Promise<TcpProxy> {
    const proxy = new TcpProxy(target)
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get address(): Address {
    return { host: '127.0.0.1', port: (this.#server.address() as { port: number }).port }
  }

  /** Breaks every open connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    this.cut()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  #join(client: Socket): void {
    this.connections++
    const target = connect({ host: this.#target.host, port: this.#target.port })
    this.#targets.add(target)
    target.on('close', () => this.#targets.delete(target))
    for (const socket of [client, target]) {
      this.#sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        if (!this.stuck) {
          client.destroy()
          target.destroy()
        }
      })
    }
    client.on('data', (chunk) => {
      if (!this.stuck) target.write(this.tamper?.(chunk) ?? chunk)
    })
    target.on('data', (chunk) => {
      if (!this.stuck) client.write(chunk)
    })
  }
}
