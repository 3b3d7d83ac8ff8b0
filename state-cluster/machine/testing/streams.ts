/**
 * Random streams of entries for property tests.
 *
 * There are few names, so that commands meet; some amounts, times and ids are wrong; pulses come with and without
 * outages. Leaves the checks to the test that applies the stream.
 *
 * Invariant: a stream depends on its seed alone, so a failing stream is kept as a number.
 * Source: docs/style.md "Tests".
 */
import type { AuctionId, RequestId, ServerId, SubjectId } from '../../../protocol/ids.ts'
import { defaultIncrements } from '../../../protocol/money.ts'
import { Random } from '../../../runtime/random.ts'
import { entryVersion } from '../apply.ts'
import type { AuctionTerms, Command, MachineEntry } from '../commands.ts'
import { startMs, terms } from './sale.ts'

const oddAmounts = [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 2 ** 53 - 1, -0]
const subjects = ['ann', 'bob', 'eve', 'sam', 'zoe']
const tagLists = [[], ['art'], ['art', 'clock'], ['oak'], ['b', 'a']]

export class Stream {
  private readonly random: Random
  private atMs = startMs
  private auctions = 0

  constructor(seed: number) {
    this.random = new Random(seed)
  }

  /** The next entry: 1 to 4 commands, stamped no earlier than the last. */
  next(): MachineEntry {
    const quiet = this.chance(40) ? 10_000 : this.chance(10) ? 3_000 : 700
    this.atMs += this.random.below(quiet)
    const commands = Array.from({ length: 1 + this.random.below(4) }, () => this.command())
    return { version: entryVersion, atMs: this.atMs, commands }
  }

  /** Some were sent before, and say so. */
  private command(): Command {
    const command = this.fresh()
    if (!('requestId' in command) || !this.chance(6)) return command
    return { ...command, ageMs: this.random.pick([1, 5_000, 40_000, 700_000]) }
  }

  private fresh(): Command {
    const roll = this.random.below(100)
    const subject = this.random.pick(subjects) as SubjectId
    const requestId = `r${this.random.below(3_000)}` as RequestId
    const auctionId = `a${Math.max(1, this.auctions - this.random.below(5))}` as AuctionId
    const operator = this.chance(2)
    const expected = { seq: this.random.below(6), ...(this.chance(2) ? { closesAtMs: this.atMs } : {}) }
    const managed = { subject, requestId, auctionId, operator, ...(this.chance(5) ? { expected } : {}) }
    const serverId = this.random.pick(['s1', 's1', 's1', 's2']) as ServerId
    const epoch = this.chance(10) ? 2 : 1
    if (roll < 44) {
      const amount = this.chance(20) ? this.random.pick(oddAmounts) : 1 + this.random.below(6_000)
      const kind = this.chance(4) ? 'exact' : 'max'
      return { type: 'place_bid', subject, requestId, auctionId, amount, kind }
    }
    if (roll < 52) return { type: 'create_auction', subject, requestId, serverId, ...this.newAuction() }
    if (roll < 75) return { type: 'conduct', serverId, epoch }
    if (roll < 78) return { type: 'buy_now', subject, requestId, auctionId }
    if (roll < 81) return { type: 'close_auction', ...managed }
    if (roll < 83) return { type: 'cancel_auction', ...managed }
    if (roll < 86) return { type: 'pause_auction', ...managed }
    if (roll < 90) return { type: 'resume_auction', ...managed }
    if (roll < 91)
      return { type: 'extend_auction', ...managed, byMs: this.chance(5) ? 0.5 : this.random.below(9_000) }
    if (roll < 94) return this.ownerCommand(serverId)
    if (roll < 96) return this.acknowledgement(serverId, epoch)
    if (roll < 99) {
      const endpoint = this.chance(2) ? {} : { endpoint: 'https://buyer.example/hook' }
      const interests = this.random.pick(tagLists) as string[]
      return {
        type: 'register_buyer',
        subject,
        requestId,
        buyerId: subject,
        name: 'B',
        interests,
        serverId,
        ...endpoint,
      }
    }
    if (this.chance(3)) {
      const whose = this.chance(3) ? {} : { subject }
      return {
        type: 'revoke_tokens',
        ...whose,
        ...(this.chance(3) && { untilMs: this.random.below(9_000_000) }),
      }
    }
    const outageExtensionMinMs = 1 + this.random.below(9_000)
    const outageThresholdMs = 500 + this.random.below(3_000)
    const increments = { USD: [{ from: 0, step: outageThresholdMs % 90 }] }
    const settings = {
      outageExtensionMinMs,
      outageThresholdMs,
      ...(outageThresholdMs % 2 === 0 ? { increments } : {}),
    }
    return { type: 'configure_house', settings, features: [] }
  }

  /** Servers enlist, stop and die, under two monitors; epochs and tokens are right only sometimes. */
  private ownerCommand(serverId: ServerId): Command {
    const monitorId = this.chance(4) ? 'm2' : 'm1'
    const epoch = 1 + this.random.below(6)
    switch (this.random.below(7)) {
      case 0:
      case 1:
        return { type: 'enlist_server', serverId }
      case 2:
        return { type: 'release_server', serverId, epoch }
      case 3:
        return { type: 'acquire_monitor_lease', monitorId, ttlMs: 50 + this.random.below(60_000) }
      case 4:
      case 5:
        return { type: 'reassign', monitorId, token: 1 + this.random.below(3), serverId, epoch }
      default:
        return this.acknowledgement(serverId, epoch)
    }
  }

  private acknowledgement(serverId: ServerId, epoch: number): Command {
    const positions = Array.from({ length: 8 }, (_, at) => at * 30 + this.random.below(30))
    return { type: 'acknowledge_positions', serverId, epoch, positions }
  }

  private newAuction(): { auctionId: AuctionId; terms: AuctionTerms } {
    const auctionId =
      `a${this.chance(8) ? this.random.below(this.auctions + 1) : ++this.auctions}` as AuctionId
    const openingBid = this.chance(30) ? this.random.pick(oddAmounts) : this.random.below(300)
    return {
      auctionId,
      terms: {
        ...terms,
        openingBid,
        durationMs: 500 + this.random.below(30_000),
        tags: this.random.pick(tagLists) as string[],
        ...(this.chance(2)
          ? { increments: defaultIncrements('USD'), usesHouseIncrements: true as const }
          : { increments: [{ from: 0, step: 1 + this.random.below(90) }] }),
        ...(this.chance(3) ? { opensAtMs: this.atMs + this.random.below(4_000) } : {}),
        ...(this.chance(2) ? { reserve: this.random.below(3_000) } : {}),
        ...(this.chance(3) ? { buyNow: this.random.below(6_000) } : {}),
        ...(this.chance(2)
          ? {
              softClose: {
                windowMs: 1 + this.random.below(3_000),
                extensionMs: 1 + this.random.below(3_000),
              },
            }
          : {}),
        ...(this.chance(4) ? { item: '{"a":1}' } : {}),
      },
    }
  }

  /** One time in `times`. */
  private chance(times: number): boolean {
    return this.random.below(times) === 0
  }
}
