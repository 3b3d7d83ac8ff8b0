/**
 * The listening side: accepts connections and hands each to the owner of its role.
 *
 * It sends its hello at once and judges the other side's. Owners are for raft peers, link clients and the monitor's
 * servers. Invariant: the number of connections is bounded, with or without a hello; beyond the bound a stream is
 * closed unread. Source: docs/spec.md PEER1 to PEER5.
 */
import { Connection, type ConnectionHandlers, type ConnectionLimits, connectionLimits } from './connection.ts'
import type { TransportError } from './errors.ts'
import { type Hello, judgeHello, type Refusal, type Role } from './handshake.ts'
import type { Address, ByteStream, Listen, StreamServer } from './stream.ts'
import type { Timing } from './timing.ts'

/** Takes the connections of one role. */
export interface RoleOwner {
  /** A reason to refuse this side, beyond what `judgeHello` checks. */
  admit(theirs: Hello): Refusal | undefined
  opened(connection: Connection, theirs: Hello): ConnectionHandlers
}

export interface AcceptorOptions {
  readonly listen: Listen
  readonly address: Address
  readonly timing: Timing
  readonly limits?: ConnectionLimits
  readonly hello: Hello
  readonly owners: Readonly<Partial<Record<Role, RoleOwner>>>
  readonly connectionsMax: number
  /** A connection that did not open: for the log. */
  readonly failed: (cause: TransportError, remote?: string) => void
}

export class Acceptor {
  readonly #options: AcceptorOptions
  readonly #connections = new Set<Connection>()
  #server: StreamServer | undefined
  #stopping = false

  private constructor(options: AcceptorOptions) {
    this.#options = options
  }

  /** Rejects with `connect_failed` when the address cannot be listened on. */
  static async open(options: AcceptorOptions): Promise<Acceptor> {
    const acceptor = new Acceptor(options)
    acceptor.#server = await options.listen(
      options.address,
      (stream) => acceptor.#accept(stream),
      options.failed,
    )
    return acceptor
  }

  get address(): Address {
    return (this.#server as StreamServer).address
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  /** Stops listening and closes every connection in order. */
  async close(): Promise<void> {
    this.#stopping = true
    for (const connection of [...this.#connections]) connection.close()
    await this.#server?.close()
  }

  #accept(stream: ByteStream): void {
    const { timing, limits = connectionLimits, hello, failed } = this.#options
    if (this.#connections.size >= this.#options.connectionsMax) {
      stream.destroy()
      return
    }
    const connection = new Connection({
      stream,
      timing,
      limits,
      hello,
      judge: (theirs) => this.#judge(theirs),
      opened: (opened, theirs) => {
        const owner = this.#options.owners[theirs.role] as RoleOwner
        const handlers = owner.opened(opened, theirs)
        return {
          frame: handlers.frame.bind(handlers),
          writable: handlers.writable.bind(handlers),
          closed: (cause) => {
            this.#connections.delete(connection)
            handlers.closed(cause)
          },
        }
      },
      failed: (cause) => {
        this.#connections.delete(connection)
        failed(cause, stream.remote)
      },
    })
    this.#connections.add(connection)
  }

  #judge(theirs: Hello): Refusal | undefined {
    if (this.#stopping) return { code: 'stopping', reason: 'this node is stopping' }
    const { hello, owners } = this.#options
    const roles = Object.keys(owners) as Role[]
    return judgeHello(hello, theirs, { roles }) ?? owners[theirs.role]?.admit(theirs)
  }
}
