/**
 * Byte streams over TCP, plain or with mutual TLS: the one file that names `node:net` and `node:tls`.
 * Invariant: with TLS, both sides show a certificate of the given authority, or no byte of ours is exchanged;
 * there is no way back to plain. Small writes leave at once (no Nagle), dead machines are probed by the kernel.
 * Source: RFC 8446; DESIGN "cluster link: TCP, … optional mutual TLS".
 */
import { createServer, connect as netConnect, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls'
import { TransportError } from './errors.ts'
import {
  type Address,
  type ByteStream,
  type Dial,
  formatAddress,
  type Listen,
  type StreamHandlers,
} from './stream.ts'

/** PEM texts. The same for listening and dialling: a node is both. */
export interface TlsIdentity {
  readonly cert: string
  readonly key: string
  /** Whoever signed the certificates of all nodes and link clients. */
  readonly ca: string
  /** The name that the other side's certificate must carry, where it is not the host that is dialled. */
  readonly serverName?: string
}

export interface TcpOptions {
  /** Absent: plain TCP. */
  readonly tls?: TlsIdentity
}

/** The kernel probes an idle connection after this long. Heartbeats notice earlier; this frees the socket. */
const keepAliveMs = 10_000
/** A client that does not finish its TLS handshake is dropped. */
const tlsHandshakeMsMax = 5_000

class SocketStream implements ByteStream {
  readonly remote: string
  readonly #socket: Socket
  #fault: Error | undefined
  #closedEarly = false

  constructor(socket: Socket, remote: string) {
    this.#socket = socket
    this.remote = remote
    socket.setNoDelay(true)
    socket.setKeepAlive(true, keepAliveMs)
    socket.pause()
    socket.on('error', (error) => {
      this.#fault ??= error
    })
    socket.once('close', () => {
      this.#closedEarly = true
    })
  }

  get pendingBytes(): number {
    return this.#socket.writableLength
  }

  open(handlers: StreamHandlers): void {
    const socket = this.#socket
    if (this.#closedEarly) {
      setImmediate(() => handlers.closed(this.#fault))
      return
    }
    socket.on('data', (chunk: Uint8Array) => handlers.data(chunk))
    socket.on('drain', () => handlers.drained())
    socket.once('close', () => handlers.closed(this.#fault))
    socket.resume()
  }

  write(parts: readonly Uint8Array[]): void {
    if (!this.#socket.writable) return
    if (parts.length > 1) this.#socket.cork()
    for (const part of parts) this.#socket.write(part)
    if (parts.length > 1) this.#socket.uncork()
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(): void {
    // What is still received is of no interest, but it must be read for the end to come.
    this.#socket.resume()
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

export function tcpDial(options: TcpOptions = {}): Dial {
  return (address, done) => {
    const { tls } = options
    const { host, port } = address
    const socket =
      tls === undefined
        ? netConnect({ host, port })
        : tlsConnect({
            host,
            port,
            cert: tls.cert,
            key: tls.key,
            ca: tls.ca,
            minVersion: 'TLSv1.3',
            ...servername(tls.serverName ?? host),
          })
    let settled = false
    const settle = (outcome: ByteStream | Error) => {
      if (settled) return
      settled = true
      done(outcome)
    }
    socket.on('error', (cause) => {
      const message = `${formatAddress(address)}: ${cause.message}`
      settle(new TransportError('connect_failed', message, { cause }))
    })
    socket.once('close', () => {
      settle(
        new TransportError('connect_failed', `${formatAddress(address)} closed before the connection stood`),
      )
    })
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      settle(new SocketStream(socket, formatAddress(address)))
    })
    return () => {
      settled = true
      socket.destroy()
    }
  }
}

export function tcpListen(options: TcpOptions = {}): Listen {
  return (address, accept) => {
    const take = (socket: Socket) => {
      const remote = formatAddress({ host: socket.remoteAddress ?? 'unknown', port: socket.remotePort ?? 0 })
      accept(new SocketStream(socket, remote))
    }
    const { tls } = options
    const server =
      tls === undefined
        ? createServer({ pauseOnConnect: true }, take)
        : createTlsServer(
            {
              cert: tls.cert,
              key: tls.key,
              ca: tls.ca,
              requestCert: true,
              rejectUnauthorized: true,
              minVersion: 'TLSv1.3',
              handshakeTimeout: tlsHandshakeMsMax,
            },
            take,
          )
    return listening(server, address)
  }
}

async function listening(server: Server, address: Address) {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const message = `cannot listen on ${formatAddress(address)}: ${cause.message}`
      reject(new TransportError('connect_failed', message, { cause }))
    })
    server.listen({ host: address.host, port: address.port, exclusive: true }, resolve)
  })
  // Once it listens, errors concern single connections (out of file descriptors): the next accept tries again.
  server.on('error', () => undefined)
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port
  return {
    address: { host: address.host, port },
    close: async () => {
      // The callback of `close` would wait for the connections that were accepted; those have their own owners.
      server.close()
      await new Promise(setImmediate)
    },
  }
}

/** TLS knows names only: an IP address is verified against the certificate without being sent. */
function servername(name: string): { servername?: string } {
  return /^[\d.]+$|:/.test(name) ? {} : { servername: name }
}
