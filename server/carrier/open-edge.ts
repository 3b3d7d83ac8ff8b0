/**
 * Chooses the carrier.
 *
 * Unless one is set: uWebSockets.js where it loads, Node's own HTTP and `ws` otherwise.
 *
 * Invariant: a carrier other than the fast one is never taken in silence; one that was named is taken or refused, never
 * replaced. Source: docs/spec.md EDGE1.
 */
import { openNodeEdge } from './node.ts'
import type { Edge, EdgeHandlers, EdgeOptions } from './socket.ts'
import { EdgeUnavailableError, loadNative, type Native, openNativeEdge } from './uws.ts'

export type Carrier = 'auto' | 'uws' | 'node'

/** What the warning says. */
export interface CarrierCost {
  readonly reason: string
  readonly cost: string
}

export interface CarrierChoice {
  readonly carrier: Carrier
  /** The slower carrier is taken. */
  readonly warn: (cost: CarrierCost) => void
  /** Replaced by tests. */
  readonly load?: () => Promise<Native>
}

const nodeCost =
  'node:http and ws carry HTTP and WebSockets: a message costs a third to a half more processor time ' +
  'than on uWebSockets.js, a request three to four times as much (npm run bench -- carrier)'

/**
 * Listens. Rejects with `ListenError` (port in use, address not ours), or with `EdgeUnavailableError` where `uws` was
 * named and does not load.
 */
export async function openEdge<SocketSession>(
  { carrier, warn, load = loadNative }: CarrierChoice,
  options: EdgeOptions,
  handlers: EdgeHandlers<SocketSession>,
): Promise<Edge> {
  if (carrier === 'node') {
    warn({ reason: 'it is set', cost: nodeCost })
    return await openNodeEdge(options, handlers)
  }
  let native: Native
  try {
    native = await load()
  } catch (error) {
    if (carrier === 'uws' || !(error instanceof EdgeUnavailableError)) throw error
    warn({ reason: error.message, cost: nodeCost })
    return await openNodeEdge(options, handlers)
  }
  return await openNativeEdge(native, options, handlers)
}
