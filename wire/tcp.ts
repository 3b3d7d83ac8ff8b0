/**
 * Byte streams over TCP, plain or with mutual TLS.
 *
 * This is the one file that names `node:net` and `node:tls`. Small writes leave at once (no Nagle), and the kernel
 * probes idle connections. Invariants: with TLS, both sides show a certificate of the given authority, or no byte of
 * ours is exchanged; there is no fallback to plain TCP. An address that other machines reach is listened on with TLS
 * or with a cluster secret, or not at all. Source: RFC 8446; docs/spec.md PEER11, PEER20 to PEER22.
 */
import { createServer, connect as netConnect, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket, connect as tlsConnect } from 'node:tls'
import { isLoopback } from '../runtime/networks.ts'
import { principalsOf } from './certificate.ts'
import { TransportError } from './errors.ts'
import { Newcomers } from './newcomers.ts'
import type { ClusterSecret } from './proof.ts'
import {
  type Address,
  type ByteStream,
  type Dial,
  formatAddress,
  type Listen,
  type StreamHandlers,
  type Trust,
} from './stream.ts'

/** PEM texts. The same for listening and dialling: a node is both. */
export interface TlsIdentity {
  readonly cert: string
  readonly key: string
  /** The authority that signed the certificates of all processes. */
  readonly ca: string
  /** The name that the other side's certificate must carry, where it is not the host that is dialled. */
  readonly serverName?: string
}

export interface TcpOptions {
  /** Absent: plain TCP. */
  readonly tls?: TlsIdentity
  /** What every process of the cluster knows; the first is used, each is accepted. Absent: none is asked for. */
  readonly secrets?: readonly ClusterSecret[]
}

/** The kernel probes an idle connection after this long. Heartbeats notice earlier; this frees the socket. */
const keepAliveMs = 10_000
/** A client that does not finish its TLS handshake is dropped. */
const tlsHandshakeMsMax = 5_000

class SocketStream implements ByteStream {
  readonly remote: string
  readonly isDialled: boolean
  readonly trust: Trust
  readonly #socket: Socket
  #fault: Error | undefined
  #closedEarly = false

  constructor(socket: Socket, about: Pick<ByteStream, 'remote' | 'isDialled' | 'trust'>) {
    this.#socket = socket
    this.remote = about.remote
    this.isDialled = about.isDialled
    this.trust = about.trust
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
    // Bytes that still arrive are dropped, but they must be read for the end to come.
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
    const remote = formatAddress(address)
    let isReached = false
    socket.once('connect', () => {
      isReached = true
    })
    socket.on('error', (cause) => {
      if (tls !== undefined && isReached) settle(untrusted(remote, cause))
      else settle(new TransportError('connect_failed', `${remote}: ${cause.message}`, { cause }))
    })
    socket.once('close', () => {
      if (tls !== undefined && isReached) settle(untrusted(remote))
      else settle(new TransportError('connect_failed', `${remote} closed before the connection stood`))
    })
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      settle(new SocketStream(socket, { remote, isDialled: true, trust: trustOf(options, socket) }))
    })
    return () => {
      settled = true
      socket.destroy()
    }
  }
}

export function tcpListen(options: TcpOptions = {}): Listen {
  return async (address, accept, refused) => {
    const { tls } = options
    refuseUnprotected(address, options)
    const take = (socket: Socket) =>
      accept(
        new SocketStream(socket, {
          remote: remoteOf(socket),
          isDialled: false,
          trust: trustOf(options, socket),
        }),
      )
    if (tls === undefined) return await listening(createServer({ pauseOnConnect: true }, take), address)
    return await listening(tlsServer(tls, take, refused), address)
  }
}

/** Connections whose TLS handshake has not ended have the bound of newcomers. */
function tlsServer(
  { cert, key, ca }: TlsIdentity,
  take: (socket: Socket) => void,
  refused: ((cause: TransportError) => void) | undefined,
): Server {
  const newcomers = new Newcomers()
  /** By the other side's address and port: the secure socket has them too. */
  const shaking = new Map<string, () => void>()
  const mutual = {
    cert,
    key,
    ca,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
  } as const
  return createTlsServer({ ...mutual, handshakeTimeout: tlsHandshakeMsMax })
    .on('connection', (raw: Socket) => {
      const remote = remoteOf(raw)
      const leave = newcomers.add(remote, () => raw.destroy())
      shaking.set(remote, leave)
      raw.once('close', () => {
        leave()
        if (shaking.get(remote) === leave) shaking.delete(remote)
      })
    })
    .on('secureConnection', (socket: TLSSocket) => {
      shaking.get(remoteOf(socket))?.()
      take(socket)
    })
    .on('tlsClientError', (cause: NodeJS.ErrnoException, socket) => {
      // A certificate that does not hold ends the socket without an error of its own. Node gives its code.
      const { authorizationError } = socket as { readonly authorizationError?: unknown }
      const code = typeof authorizationError === 'string' ? authorizationError : cause.code
      // A probe that connects and closes has shown nothing that could be refused.
      if (code !== 'ECONNRESET') refused?.(untrusted(remoteOf(socket), Object.assign(cause, { code })))
    })
}

/** Whether strangers are kept out of connections with these options. */
export function isProtected({ tls, secrets = [] }: TcpOptions): boolean {
  return tls !== undefined || secrets.length > 0
}

/** Throws TransportError `unprotected`, with what to do, where the address may not be listened on. */
export function refuseUnprotected(address: Address, options: TcpOptions): void {
  if (isProtected(options) || isLoopback(address.host)) return
  throw new TransportError(
    'unprotected',
    `${formatAddress(address)} can be reached from other machines, and nothing keeps strangers out: give every process of the cluster one secret of at least 32 bytes (MARTILLO_CLUSTER_SECRET_FILE; \`martillo cluster-secret --file PATH\` makes it) or certificates (MARTILLO_TLS_CERT_FILE, …_KEY_FILE, …_CA_FILE), or listen on 127.0.0.1`,
  )
}

function trustOf({ tls, secrets = [] }: TcpOptions, socket: Socket): Trust {
  if (tls === undefined) return { secrets }
  const { subjectaltname = '' } = (socket as TLSSocket).getPeerCertificate()
  return { secrets, principals: principalsOf(subjectaltname) }
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

/** Not known any more of a socket that has ended. */
function remoteOf({ remoteAddress, remotePort = 0 }: Socket): string {
  return remoteAddress === undefined
    ? 'an unknown address'
    : formatAddress({ host: remoteAddress, port: remotePort })
}

const strangeCertificate = "its certificate is not of the house's authority"
const notTls = 'it does not speak TLS'

/** What TLS finds wrong with the other side, by OpenSSL's and Node's codes. */
const tlsFaults: Readonly<Record<string, string>> = {
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: 'it shows no certificate',
  ERR_SSL_WRONG_VERSION_NUMBER: notTls,
  ERR_SSL_UNKNOWN_PROTOCOL: notTls,
  ERR_SSL_HTTP_REQUEST: notTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: notTls,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: strangeCertificate,
  UNABLE_TO_GET_ISSUER_CERT: strangeCertificate,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: strangeCertificate,
  SELF_SIGNED_CERT_IN_CHAIN: strangeCertificate,
  DEPTH_ZERO_SELF_SIGNED_CERT: strangeCertificate,
  CERT_SIGNATURE_FAILURE: strangeCertificate,
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
}

function untrusted(remote: string, cause?: Error): TransportError {
  const { code = '', message = 'the connection was closed' } = (cause ?? {}) as NodeJS.ErrnoException
  const what =
    tlsFaults[code] ?? 'TLS came to no end; does the other side use it, and accept this certificate?'
  return new TransportError('untrusted', `${remote}: ${what} (${code || message})`, { cause })
}

/** TLS knows names only: an IP address is verified against the certificate without being sent. */
function servername(name: string): { servername?: string } {
  return /^[\d.]+$|:/.test(name) ? {} : { servername: name }
}
