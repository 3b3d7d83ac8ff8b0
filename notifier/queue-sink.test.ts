import { describe, expect, it } from 'vitest'
import { ManualClock } from '../runtime/clock.ts'
import { silentLogger } from '../runtime/logger.ts'
import { bytesOf } from './message.ts'
import { batchBytesMax, batchEntriesMax, type OutgoingMessage, QueueError, type SendFault } from './queue.ts'
import { QueueSink, type QueueSinkParts } from './queue-sink.ts'
import { bidNotification } from './testing/messages.ts'

type Send = (batch: readonly OutgoingMessage[]) => Promise<readonly SendFault[]>

const idOf = ({ deduplicationId }: OutgoingMessage): string => deduplicationId

/** A sink over a queue that does as the test says; `sent` holds the ids of each request. */
function sinkOver(send: Send, settings: Partial<QueueSinkParts> = {}) {
  const sent: string[][] = []
  const refused: number[] = []
  const clock = new ManualClock()
  const sink = new QueueSink({
    queue: {
      send: (batch: readonly OutgoingMessage[]) => {
        sent.push(batch.map(idOf))
        return send(batch)
      },
    },
    clock,
    logger: silentLogger,
    random: () => 1,
    onSent: () => undefined,
    onRefused: (messages) => refused.push(messages),
    ...settings,
  })
  return { sink, sent, refused, clock }
}

const takes: Send = async () => []

/** Runs the promises that wait for nothing but each other. */
const settle = () => new Promise((resolve) => setImmediate(resolve))

describe('the sink over a queue', () => {
  it('NOTE2 sends a buyer one message at a time and many buyers together', async () => {
    const { sink, sent } = sinkOver(takes)
    await sink.publish([
      bidNotification(1, 'ana'),
      bidNotification(2, 'ben'),
      bidNotification(3, 'ana'),
      bidNotification(4, 'ana'),
    ])
    expect(sent).toEqual([['0-1-ana', '0-2-ben'], ['0-3-ana'], ['0-4-ana']])
  })

  it('NOTE2 does not send the next before the one before was taken', async () => {
    const refusals = new Set(['0-1-ana'])
    const { sink, sent, clock } = sinkOver(async (batch) =>
      batch.flatMap((message, index) =>
        refusals.delete(idOf(message)) ? [{ index, code: 'InternalError', permanent: false }] : [],
      ),
    )
    const published = sink.publish([
      bidNotification(1, 'ana'),
      bidNotification(2, 'ben'),
      bidNotification(3, 'ana'),
    ])
    await settle()
    expect(sent).toEqual([['0-1-ana', '0-2-ben']])
    clock.advance(200)
    await published
    expect(sent).toEqual([['0-1-ana', '0-2-ben'], ['0-1-ana'], ['0-3-ana']])
  })

  it('NOTE2 gathers what is published while requests are under way', async () => {
    const takings: (() => void)[] = []
    const { sink, sent } = sinkOver(
      () =>
        new Promise((resolve) => {
          takings.push(() => resolve([]))
        }),
    )
    const published: Promise<void>[] = []
    for (let at = 1; at <= 30; at += 1) {
      published.push(sink.publish([bidNotification(at, `buyer-${at}`)]))
      await settle()
    }
    expect(sent.map((batch) => batch.length)).toEqual([1, 1, 1, 1, 1, 1, 1, 1])
    while (takings.length > 0) {
      for (const take of takings.splice(0)) take()
      await settle()
    }
    await Promise.all(published)
    expect(sent.map((batch) => batch.length).slice(8)).toEqual([10, 10, 2])
    expect(sent.flat().sort()).toEqual(
      Array.from({ length: 30 }, (_, i) => `0-${i + 1}-buyer-${i + 1}`).sort(),
    )
  })

  it('NOTE2 a buyer whose message is under way does not hold up another', async () => {
    const { sink, sent, clock } = sinkOver((batch) =>
      batch.some((message) => idOf(message) === '0-1-ana') && sent.length < 3
        ? Promise.reject(new QueueError('TimeoutError', 'queue: away', true))
        : takes([]),
    )
    const ana = sink.publish([bidNotification(1, 'ana'), bidNotification(2, 'ana')])
    await settle()
    await sink.publish([bidNotification(3, 'ben')])
    expect(sent).toEqual([['0-1-ana'], ['0-3-ben']])
    clock.advance(200)
    await ana
    expect(sent.slice(2)).toEqual([['0-1-ana'], ['0-2-ana']])
  })

  it('NOTE2 fills requests up to 10 entries and 256 KiB', async () => {
    const sizes: number[] = []
    const { sink, sent } = sinkOver(async (batch) => {
      sizes.push(batch.reduce((sum, message) => sum + bytesOf(message), 0))
      return []
    })
    const messages = Array.from({ length: 25 }, (_, i) => {
      const message = bidNotification(i, `buyer-${i}`)
      const title = 'x'.repeat(i < 10 ? 40_000 : 10)
      return { ...message, event: { ...message.event, source: title } }
    })
    await sink.publish(messages)
    expect(sent.flat().sort()).toEqual(messages.map(({ id }) => id).sort())
    expect(Math.max(...sent.map((batch) => batch.length))).toBe(batchEntriesMax)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(batchBytesMax)
    // Six large ones fill it but for the small ones; what is too large for it goes with the next.
    expect(sent[0]?.slice(0, 7)).toEqual(
      [...messages.slice(0, 6), messages[10]].map((message) => message?.id),
    )
  })

  it('NOTE4 sends again, with longer and longer waits, until the queue takes it', async () => {
    let failures = 3
    const { sink, sent, clock } = sinkOver(() =>
      failures-- > 0 ? Promise.reject(new QueueError('TimeoutError', 'queue: away', true)) : takes([]),
    )
    let done = false
    const published = sink.publish([bidNotification(1, 'ana')]).then(() => {
      done = true
    })
    for (const [waitMs, requests] of [
      [0, 1],
      [199, 1],
      [1, 2],
      [399, 2],
      [1, 3],
      [799, 3],
      [1, 4],
    ] as const) {
      expect(done).toBe(false)
      clock.advance(waitMs)
      await settle()
      expect(sent).toHaveLength(requests)
    }
    await published
  })

  it('NOTE4 drops and counts what the queue will never take, so that the rest continues', async () => {
    const { sink, sent, refused } = sinkOver(async (batch) =>
      batch.flatMap((message, index) =>
        idOf(message) === '0-1-ana' ? [{ index, code: 'InvalidMessageContents', permanent: true }] : [],
      ),
    )
    await sink.publish([bidNotification(1, 'ana'), bidNotification(2, 'ana')])
    expect(sent).toEqual([['0-1-ana'], ['0-2-ana']])
    expect(refused).toEqual([1])
  })

  it('NOTE3 publishes those without a webhook too, for other consumers', async () => {
    const { sink, sent } = sinkOver(takes)
    await sink.publish([bidNotification(1, 'ana')])
    expect(sent).toEqual([['0-1-ana']])
  })

  it('NOTE4 leaves to the publisher what it was still sending when it is closed', async () => {
    const { sink, clock } = sinkOver(() => Promise.reject(new QueueError('x', 'away', true)))
    const published = sink.publish([bidNotification(1, 'ana')])
    await settle()
    sink.close()
    await expect(published).rejects.toMatchObject({ code: 'stopped' })
    expect(clock.timerCount).toBe(0)
    await expect(sink.publish([bidNotification(2, 'ana')])).rejects.toMatchObject({ code: 'stopped' })
  })
})
