/**
 * The contract suite of `PeerTransport`.
 *
 * It runs on the transport over sockets and on the one in memory. A harness opens nodes that know each other and
 * record what they receive. Invariant: every implementation passes the same tests, unchanged.
 * Source: docs/spec.md PEER8 to PEER14.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { InvariantError } from '../../runtime/assert.ts'
import { until } from '../../wire/testing/fixtures.ts'
import type { PeerTransport, SnapshotRow } from './peer-transport.ts'
import { group, rowsOf, snapshotMessage, textMessage, type Witness } from './testing/fixtures.ts'

export interface PeerHarness {
  /** Opens node `nodeId` and connects it with all that were opened, in both directions unless it `isUnknown` to them. */
  open(nodeId: number, isUnknown?: boolean): Promise<{ transport: PeerTransport; witness: Witness }>
  /** Ends the process of a node as kill -9 does: no farewell. */
  kill(nodeId: number): Promise<void>
  close(): Promise<void>
}

export function peerTransportContract(name: string, makeHarness: () => Promise<PeerHarness>): void {
  describe(`peer transport: ${name}`, () => {
    let harness: PeerHarness
    let one: Awaited<ReturnType<PeerHarness['open']>>
    let two: Awaited<ReturnType<PeerHarness['open']>>

    beforeEach(async () => {
      harness = await makeHarness()
      one = await harness.open(1)
      two = await harness.open(2)
      await until(() => one.transport.isUp(2) && two.transport.isUp(1))
      await until(() => one.witness.events.includes('up 2') && two.witness.events.includes('up 1'))
    })
    afterEach(() => harness.close())

    it('PEER8: messages of several groups arrive once, in order, in their group', async () => {
      for (let at = 0; at < 500; at++) one.transport.send(group(at % 3), textMessage(1, 2, `message ${at}`))
      await until(() => two.witness.messages.length === 500)
      expect(two.witness.texts()).toEqual(Array.from({ length: 500 }, (_, at) => `message ${at}`))
      expect(two.witness.messages.map(({ groupId }) => groupId).slice(0, 4)).toEqual([0, 1, 2, 0])
      expect(one.transport.stats()).toMatchObject([
        { nodeId: 2, up: true, sentMessages: 500, droppedMessages: 0 },
      ])
      expect(two.transport.stats()).toMatchObject([{ nodeId: 1, receivedMessages: 500 }])
    })

    it('PEER10: messages that cannot be sent are dropped, and reported in a later turn, once for each group', async () => {
      one.transport.send(group(0), textMessage(1, 9, 'to an unknown node'))
      one.transport.send(group(0), textMessage(1, 9, 'to an unknown node'))
      one.transport.send(group(4), textMessage(1, 9, 'to an unknown node'))
      expect(one.witness.events).toEqual(['up 2'])
      await until(() => one.witness.events.length === 3)
      expect(one.witness.events).toEqual(['up 2', 'unreachable 9 in 0', 'unreachable 9 in 4'])
    })

    it('PEER9: a dead peer is reported at once, and is up again after its restart', async () => {
      await harness.kill(2)
      await until(() => one.witness.events.some((event) => event.startsWith('down 2')))
      expect(one.transport.isUp(2)).toBe(false)
      one.transport.send(group(0), textMessage(1, 2, 'lost'))
      await until(() => one.witness.events.includes('unreachable 2 in 0'))
      const again = await harness.open(2)
      await until(() => one.witness.events.filter((event) => event === 'up 2').length === 2)
      one.transport.send(group(0), textMessage(1, 2, 'found'))
      await until(() => again.witness.messages.length > 0)
      expect(again.witness.texts()).toEqual(['found'])
    })

    it('PEER11: a peer that is removed is not talked to any more', async () => {
      one.transport.removePeer(2)
      expect(one.transport.isUp(2)).toBe(false)
      one.transport.send(group(0), textMessage(1, 2, 'x'))
      await until(() => one.witness.events.includes('unreachable 2 in 0'))
      expect(two.witness.messages).toEqual([])
    })

    it('PEER17: a node that one does not know is answered on the connection that it dialled', async () => {
      const three = await harness.open(3, true)
      await until(() => three.transport.isUp(1))
      three.transport.send(group(0), textMessage(3, 1, 'here I am'))
      await until(() => one.witness.messages.length === 1)
      one.transport.send(group(2), textMessage(1, 3, 'welcome'))
      await until(() => three.witness.messages.length === 1)
      expect(three.witness.texts()).toEqual(['welcome'])
      expect(one.transport.isUp(3)).toBe(false)
      await harness.kill(3)
      await until(() => {
        one.transport.send(group(2), textMessage(1, 3, 'gone'))
        return one.witness.events.includes('unreachable 3 in 2')
      })
    })

    it('PEER9: after close nothing is called any more', async () => {
      await one.transport.close()
      const received = [one.witness.events.length, one.witness.messages.length]
      two.transport.send(group(0), textMessage(2, 1, 'too late'))
      one.transport.send(group(0), textMessage(1, 2, 'too late'))
      await until(() => two.witness.events.some((event) => event.startsWith('down 1')))
      expect([one.witness.events.length, one.witness.messages.length]).toEqual(received)
    })

    it('PEER12: a snapshot arrives row by row, in chunks, and its message after its rows', async () => {
      await one.transport.sendSnapshot(group(3), snapshotMessage(1, 2), rowsOf(5_000, 1_000))
      const sink = two.witness.sinks[0]
      expect(sink?.finished).toBe(true)
      expect(sink?.rows.length).toBe(5_000)
      expect(sink?.rows[4_999]).toEqual({ key: 'row-4999', value: 1_000 })
      expect(two.witness.messages).toMatchObject([{ groupId: 3, message: { type: 'MsgSnap' } }])
      expect(two.witness.messages[0]?.message).toEqual(snapshotMessage(1, 2))
    })

    it('PEER23: a question of the source is answered after all rows before it, and the transfer goes on', async () => {
      const answers: string[] = []
      const ask = (text: string) => ({
        question: Buffer.from(text),
        answered: (answer: Uint8Array) => answers.push(Buffer.from(answer).toString()),
      })
      async function* source() {
        yield ask('before')
        yield* rowsOf(700, 1_000)
        yield ask('after')
        yield ask('again')
        yield* rowsOf(300, 1_000)
      }
      await one.transport.sendSnapshot(group(0), snapshotMessage(1, 2), source())
      expect(answers).toEqual(['before: 0', 'after: 700', 'again: 700'])
      expect(two.witness.sinks[0]?.rows.length).toBe(1_000)
    })

    it('PEER12: an empty snapshot, one with empty values and one with a very long row arrive', async () => {
      await one.transport.sendSnapshot(group(0), snapshotMessage(1, 2), rowsOf(0, 0))
      await one.transport.sendSnapshot(group(0), snapshotMessage(1, 2), rowsOf(3, 0))
      await one.transport.sendSnapshot(group(0), snapshotMessage(1, 2), rowsOf(2, 5_000_000))
      expect(two.witness.sinks.map((sink) => sink.rows.length)).toEqual([0, 3, 2])
      expect(two.witness.messages.length).toBe(3)
    })

    it('PEER13: the sender waits for a receiver that is behind, with a bounded number of rows in flight', async () => {
      let release = () => {}
      two.witness.prepareSink = (sink) => {
        sink.gate = new Promise((resolve) => {
          release = resolve
        })
      }
      let read = 0
      async function* counted(): AsyncGenerator<SnapshotRow[]> {
        for await (const batch of rowsOf(1_000, 64 * 1024, 1)) {
          read++
          yield batch
        }
      }
      const sent = one.transport.sendSnapshot(group(0), snapshotMessage(1, 2), counted())
      await until(() => (two.witness.sinks[0]?.writesAtOnce ?? 0) > 0)
      // Raft messages go on meanwhile, and when one has come back, the sender has had time to run ahead.
      for (let at = 0; at < 50; at++) {
        one.transport.send(group(0), textMessage(1, 2, `beside ${at}`))
        await until(() => two.witness.messages.length > at)
      }
      // 64 KiB a row, 256 KiB a chunk, 4 chunks in flight, one being filled.
      expect(read).toBeLessThanOrEqual(25)
      release()
      await sent
      expect(two.witness.sinks[0]?.rows.length).toBe(1_000)
    })

    it('PEER14: a receiver that refuses, or whose disk fails, ends the transfer on both sides', async () => {
      two.witness.takesSnapshots = false
      const refused = one.transport.sendSnapshot(group(0), snapshotMessage(1, 2), rowsOf(10, 10))
      await expect(refused).rejects.toMatchObject({ code: 'snapshot_aborted', message: /not now/ })
      two.witness.takesSnapshots = true
      two.witness.prepareSink = (sink) => {
        sink.fault = new Error('disk full')
      }
      const failed = one.transport.sendSnapshot(group(0), snapshotMessage(1, 2), rowsOf(10_000, 1_000))
      await expect(failed).rejects.toMatchObject({ code: 'snapshot_aborted', message: /disk full/ })
      expect(two.witness.sinks[0]).toMatchObject({ finished: false, aborted: { code: 'snapshot_aborted' } })
      expect(two.witness.messages).toEqual([])
    })

    it('PEER14: a sender that gives up, or whose source fails, ends the transfer on both sides', async () => {
      async function* failing(): AsyncGenerator<SnapshotRow[]> {
        yield* rowsOf(2_000, 1_000)
        throw new Error('cannot read on')
      }
      const failed = one.transport.sendSnapshot(group(0), snapshotMessage(1, 2), failing())
      await expect(failed).rejects.toMatchObject({ code: 'snapshot_aborted', message: 'cannot read on' })
      await until(() => two.witness.sinks[0]?.aborted !== undefined)
      const abort = new AbortController()
      async function* endless(): AsyncGenerator<SnapshotRow[]> {
        for (;;) yield* rowsOf(100, 1_000)
      }
      const given = one.transport.sendSnapshot(group(0), snapshotMessage(1, 2), endless(), abort.signal)
      const outcome = expect(given).rejects.toMatchObject({ code: 'snapshot_aborted' })
      await until(() => (two.witness.sinks[1]?.rows.length ?? 0) > 1_000)
      abort.abort()
      await outcome
      await until(() => two.witness.sinks[1]?.aborted !== undefined)
      expect(two.witness.sinks.map((sink) => sink.finished)).toEqual([false, false])
      expect(two.witness.messages).toEqual([])
    })

    it('PEER14: a connection that ends in the middle ends the transfer on both sides', async () => {
      async function* endless(): AsyncGenerator<SnapshotRow[]> {
        for (;;) yield* rowsOf(100, 1_000)
      }
      const sent = two.transport.sendSnapshot(group(0), snapshotMessage(2, 1), endless())
      const outcome = expect(sent).rejects.toMatchObject({ name: 'TransportError' })
      await until(() => (one.witness.sinks[0]?.rows.length ?? 0) > 1_000)
      await harness.kill(2)
      await outcome
      await until(() => one.witness.sinks[0]?.aborted !== undefined)
      expect(one.witness.sinks[0]?.finished).toBe(false)
      const again = one.transport.sendSnapshot(group(0), snapshotMessage(1, 2), rowsOf(1, 1))
      await expect(again).rejects.toMatchObject({ code: 'closed' })
    })

    it('PEER12: a snapshot is not sent as other messages are', () => {
      expect(() => one.transport.send(group(0), snapshotMessage(1, 2))).toThrow(InvariantError)
    })
  })
}
