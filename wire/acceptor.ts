/**
 * The listening side: accepts connections and hands each to the owner of its role.
 *
 * Owners are for raft peers, link clients and the monitor's servers. Invariant: the number of connections is bounded,
 * and those that have not ended their handshake have a bound of their own, so that they take nobody's place.
 * Source: docs/spec.md PEER1 to PEER5, PEER21.
 */
import { Connection, type ConnectionHandlers, type ConnectionLimits, connectionLimits } from './connection.ts'
import { TransportError } from './errors.ts'
import { type Hello, judgeHello, type Refusal, type Role } from './handshake.ts'
import { type NewcomerLimits, Newcomers } from './newcomers.ts'
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
  /** Connections whose handshake has ended. */
  readonly connectionsMax: number
  /** For those whose handshake has not. */
  readonly newcomers?: NewcomerLimits
  /** A connection that did not open: for the log. */
  readonly failed: (cause: TransportError, remote?: string) => void
}

export class Acceptor {
  readonly #options: AcceptorOptions
  /** All, newcomers included. */
  readonly #connections = new Set<Connection>()
  readonly #newcomers: Newcomers
  #server: StreamServer | undefined
  #stopping = false

  private constructor(options: AcceptorOptions) {
    this.#options = options
    this.#newcomers = new Newcomers(options.newcomers)
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
    let leave = (): void => undefined
    const connection = new Connection({
      stream,
      timing,
      limits,
      hello,
      judge: (theirs) => this.#judge(theirs),
      opened: (opened, theirs) => {
        leave()
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
        leave()
        this.#connections.delete(connection)
        failed(cause, stream.remote)
      },
    })
    this.#connections.add(connection)
    leave = this.#newcomers.add(stream.remote, () =>
      connection.fail(new TransportError('displaced', `${stream.remote} made way for newer connections`)),
    )
  }

  #judge(theirs: Hello): Refusal | undefined {
    if (this.#stopping) return { code: 'stopping', reason: 'this node is stopping' }
    const { hello, owners, connectionsMax } = this.#options
    if (this.#connections.size - this.#newcomers.count >= connectionsMax) {
      return { code: 'too_many_connections', reason: `${connectionsMax} connections are open` }
    }
    const roles = Object.keys(owners) as Role[]
    return judgeHello(hello, theirs, { roles }) ?? owners[theirs.role]?.admit(theirs)
  }
}
