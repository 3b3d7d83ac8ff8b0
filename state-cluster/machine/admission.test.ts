import { describe, expect, it } from 'vitest'
import type { AuctionId, RequestId, ServerId, SubjectId } from '../../protocol/ids.ts'
import { encodeForLog } from './admission.ts'
import { decodeCommand } from './codec.ts'
import type { Command } from './commands.ts'

const bid: Command = {
  type: 'place_bid',
  subject: 'bidder-1' as SubjectId,
  requestId: 'r1' as RequestId,
  auctionId: 'a1' as AuctionId,
  amount: 100,
  kind: 'max',
}
const settings = { outageExtensionMinMs: 5_000, outageThresholdMs: 2_000 }

describe('what a leader refuses before the log', () => {
  it('STORE18: accepts every command that replicas can compute, also one that they reject', () => {
    const lawful: Command[] = [
      bid,
      { ...bid, auctionId: 'no such auction' as AuctionId },
      { type: 'configure_house', settings, features: [] },
      { type: 'enlist_server', serverId: 'server-1' as ServerId },
    ]
    for (const command of lawful) expect(decodeCommand(encodeForLog(command))).toEqual(command)
  })

  it('STORE18: refuses a command that would end every replica, at each start', () => {
    const poison = [
      { type: 'configure_house', settings, features: [60_000] },
      { type: 'no_such_command', subject: 's', requestId: 'r' },
      { type: 'constructor' },
      { type: 'toString' },
      { ...bid, amount: '100' },
      { ...bid, auctionId: 7 },
      { ...bid, subject: undefined },
      { type: 'conduct', serverId: 'server-1', epoch: -1 },
      { type: 'conduct', serverId: 'server-1', epoch: 1.5 },
      { type: 'acknowledge_positions', serverId: 's', epoch: 1, positions: 'all' },
      { type: 'create_auction', subject: 's', requestId: 'r', serverId: 'x', auctionId: 'a' },
    ] as unknown as Command[]
    for (const command of poison) {
      expect(encodeForLog(command), JSON.stringify(command)).toEqual({ ok: false, code: 'terms_invalid' })
    }
  })
})
