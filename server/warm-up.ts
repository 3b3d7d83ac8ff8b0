/**
 * Prepares at the start what would otherwise be prepared at first use.
 *
 * Schemas are compiled, and the key that signs tokens is used once. When a server dies, all its clients come at once
 * to another one, which may have started a moment ago; the first of them must not wait for this. Invariant: the work
 * has no effect that a client can see. Source: docs/spec.md FLOW12.
 */
import type { ClientFrame } from '../protocol/client-frames.ts'
import { decodeClientBinary, decodeClientText } from '../protocol/decode.ts'
import type { AuctionId, RequestId, SubjectId } from '../protocol/ids.ts'
import { writeJson } from '../protocol/json.ts'
import { writeMsgpack } from '../protocol/msgpack.ts'
import type { Tokens } from './access/auth.ts'

const auctionId = 'warm-up' as AuctionId
const requestId = 'warm-up' as RequestId

const frames: { readonly [Type in ClientFrame['type']]: Extract<ClientFrame, { type: Type }> } = {
  subscribe: { type: 'subscribe', id: 1, auctionId, since: { epoch: 1, seq: 1 } },
  unsubscribe: { type: 'unsubscribe', id: 1, auctionId },
  place_bid: { type: 'place_bid', id: 1, auctionId, amount: 1, kind: 'max', requestId },
  buy_now: { type: 'buy_now', id: 1, auctionId, requestId },
  sync_time: { type: 'sync_time', id: 1, t0: 1 },
}

export async function warmUp(tokens: Tokens): Promise<void> {
  for (const frame of Object.values(frames)) {
    decodeClientText(writeJson(frame))
    decodeClientBinary(writeMsgpack(frame))
  }
  const { token } = await tokens.issue('warm-up' as SubjectId, [], 60)
  await tokens.verify(token)
}
