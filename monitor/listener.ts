/**
 * Where servers connect to a monitor: takes their heartbeats off the wire and tells the detector. Invariant: a
 * connection speaks for one server, from its hello on; whoever says something else, or nothing, is cut off.
 * Rules WATCH1–WATCH2.
 */
import type { CancelTimer, Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import { type Address, type ByteStream, FrameDecoder, type Listen } from '../state-cluster/index.ts'
import type { Detector } from './detector.ts'
import { decodeMessage, type HeartMessage, heartVersion, messageBytesMax } from './wire.ts'

export interface ListenerContext {
  readonly detector: Detector
  readonly clock: Clock
  readonly logger: Logger
  readonly listen: Listen
  /** A connection came or went: judge now. */
  readonly changed: () => void
}

export interface Listener {
  readonly address: Address
  close(): Promise<void>
}

const helloMs = 2_000
/** Twice what the detector follows: an old connection may outlive its server for a moment. */
const connectionsMax = 2_048

/** Rejects with `TransportError` when the address cannot be listened on. */
export async function openListener(context: ListenerContext, address: Address): Promise<Listener> {
  const streams = new Set<ByteStream>()
  let made = 0
  const server = await context.listen(
    address,
    (stream) => {
      if (streams.size >= connectionsMax) {
        stream.destroy()
        return
      }
      streams.add(stream)
      made += 1
      follow(context, stream, made, () => streams.delete(stream))
    },
    (cause) => context.logger.warn('heartbeat_refused', { remote: '', reason: cause.message }),
  )
  return {
    address: server.address,
    async close() {
      await server.close()
      for (const stream of streams) stream.destroy()
    },
  }
}

function follow(context: ListenerContext, stream: ByteStream, connection: number, gone: () => void): void {
  const { clock, detector, logger, changed } = context
  const decoder = new FrameDecoder(messageBytesMax)
  let isKnown = false
  const refuse = (reason: string): void => {
    logger.warn('heartbeat_refused', { remote: stream.remote, reason })
    stream.destroy()
  }
  let cancel: CancelTimer = clock.setTimer(helloMs, () => refuse('it did not say who it is'))
  const take = (message: HeartMessage): void => {
    if (message.type !== 'hello') {
      if (!isKnown) refuse('it did not begin with a hello')
      else if (message.type === 'beat') detector.heard(connection, message)
      else detector.leaving(connection)
      return
    }
    if (isKnown || message.version !== heartVersion) {
      refuse(`a hello of version ${message.version}`)
      return
    }
    if (!detector.opened(message.serverId, connection)) {
      refuse('too many servers')
      return
    }
    isKnown = true
    cancel()
    cancel = () => undefined
    logger.info('server_connected', { serverId: message.serverId, instance: message.instance })
  }
  stream.open({
    data(chunk) {
      try {
        decoder.push(chunk)
        for (let frame = decoder.next(); frame !== undefined; frame = decoder.next())
          take(decodeMessage(frame))
      } catch (error) {
        refuse(error instanceof Error ? error.message : String(error))
      }
    },
    drained: () => undefined,
    closed() {
      cancel()
      gone()
      detector.closed(connection, clock.monotonicMs())
      changed()
    },
  })
}
