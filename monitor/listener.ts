/**
 * Where servers connect to a monitor: hands their heartbeats to the detector.
 *
 * Invariant: a connection speaks for the one server that its hello names; a connection that breaks the protocol is
 * closed. Source: docs/spec.md WATCH1 and WATCH2.
 */
import type { ServerId } from '../protocol/ids.ts'
import type { Logger } from '../runtime/logger.ts'
import { Acceptor } from '../wire/acceptor.ts'
import type { Connection, ConnectionHandlers } from '../wire/connection.ts'
import type { TransportError, TransportErrorCode } from '../wire/errors.ts'
import type { Hello } from '../wire/handshake.ts'
import type { Address, Listen } from '../wire/stream.ts'
import type { Timing } from '../wire/timing.ts'
import type { Detector } from './detector.ts'
import { decodeServerMessage, heartbeatLimits, monitorHello } from './heartbeat-codec.ts'

export interface ListenerOptions {
  readonly detector: Detector
  readonly timing: Timing
  readonly logger: Logger
  readonly listen: Listen
  readonly address: Address
  /** Names this start of the monitor's process. */
  readonly instance: string
  /** Of the monitor, whatever its start. */
  readonly name: string
  /** A connection ended: judge now. */
  readonly changed: () => void
}

/** Twice what the detector follows: an old connection may outlive its server for a moment. */
const connectionsMax = 2_048

/** Ends of a connection that are no breach of the protocol. A probe of the port connects and closes again. */
const plainEnds: ReadonlySet<TransportErrorCode> = new Set(['closed', 'not_greeted', 'stopped'])

/** Rejects with `TransportError` when the address cannot be listened on. */
export function openListener(options: ListenerOptions): Promise<Acceptor> {
  const { detector, timing, logger, listen, address, instance, name, changed } = options
  let lastConnection = 0
  const ended = (cause: TransportError, remote = ''): void => {
    if (!plainEnds.has(cause.code)) logger.warn('heartbeat_refused', { remote, reason: cause.message })
  }
  const opened = (connection: Connection, theirs: Hello): ConnectionHandlers => {
    const number = ++lastConnection
    const serverId = theirs.serverId as ServerId
    detector.opened(serverId, number)
    logger.info('server_connected', { serverId, instance: theirs.instance })
    return {
      frame(kind, body) {
        const message = decodeServerMessage(kind, body)
        if (message.type === 'heartbeat') detector.received(number, message)
        else detector.leaving(number)
      },
      writable: () => undefined,
      closed(cause) {
        ended(cause, connection.remote)
        detector.closed(number, timing.clock.monotonicMs())
        changed()
      },
    }
  }
  return Acceptor.open({
    listen,
    address,
    timing,
    limits: heartbeatLimits,
    hello: monitorHello(instance, name),
    owners: { heartbeat: { admit: (theirs) => admit(detector, theirs), opened } },
    connectionsMax,
    failed: ended,
  })
}

function admit(detector: Detector, { serverId = '' }: Hello) {
  if (serverId === '') return { code: 'wrong_role', reason: 'a server without an id' } as const
  if (detector.hasRoomFor(serverId as ServerId)) return undefined
  return { code: 'too_many_connections', reason: 'this monitor follows as many servers as it can' } as const
}
