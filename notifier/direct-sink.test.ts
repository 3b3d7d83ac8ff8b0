import { describe, expect, it } from 'vitest'
import { ManualClock } from '../runtime/clock.ts'
import { silentLogger } from '../runtime/logger.ts'
import type { Delivery, ReceivedMessage } from './delivery.ts'
import { DirectSink } from './direct-sink.ts'
import { bidNotification } from './testing/messages.ts'

type Verdict = Awaited<ReturnType<Delivery['deliver']>>

const delivered: Verdict = { settled: true, outcome: 'delivered' }
const later = (retryInMs: number): Verdict => ({ settled: false, retryInMs, detail: 'later' })

/** Runs the promises that wait for nothing but each other. */
const settle = () => new Promise((resolve) => setImmediate(resolve))

/** A sink whose attempts end when, and as, the test says. */
function directSink(deliveriesMax = 8) {
  const attempts: string[] = []
  const taken: number[] = []
  const settled = new Set<string>()
  const open = new Map<string, (verdict: Verdict | Error) => void>()
  const clock = new ManualClock()
  const delivery: Delivery = {
    isSettled: (id) => settled.has(id),
    deliver: ({ deduplicationId: id, receives }: ReceivedMessage, stop) => {
      attempts.push(`${id} ${receives}`)
      return new Promise((resolve, reject) => {
        stop.addEventListener('abort', () => resolve(later(0)))
        open.set(id, (verdict) => {
          open.delete(id)
          if (verdict instanceof Error) return reject(verdict)
          if (verdict.settled) settled.add(id)
          resolve(verdict)
        })
      })
    },
  }
  const sink = new DirectSink({
    delivery,
    clock,
    logger: silentLogger,
    deliveriesMax,
    onTaken: (messages) => taken.push(messages),
  })
  const finish = async (id: string, verdict: Verdict | Error = delivered): Promise<void> => {
    open.get(id)?.(verdict)
    await settle()
  }
  return { sink, attempts, taken, clock, finish }
}

const to = (buyer: string, ...positions: number[]) =>
  positions.map((position) => bidNotification(position, buyer, `http://${buyer}`))

describe('the sink that delivers directly', () => {
  it('NOTE2 delivers a buyer one message at a time, in order, and many buyers at once', async () => {
    const { sink, attempts, finish } = directSink()
    const published = sink.publish([...to('ana', 1), ...to('ben', 2), ...to('ana', 3)])
    expect(attempts).toEqual(['0-1-ana 1', '0-2-ben 1'])
    await finish('0-1-ana')
    expect(attempts.slice(2)).toEqual(['0-3-ana 1'])
    await finish('0-2-ben')
    await finish('0-3-ana')
    await published
  })

  it('NOTE3 counts a message as published only when it has ended', async () => {
    const { sink, finish } = directSink()
    let isDone = false
    const published = sink.publish([...to('ana', 1), ...to('ben', 2)]).then(() => {
      isDone = true
    })
    await finish('0-1-ana')
    await finish('0-2-ben', later(1_000))
    expect(isDone).toBe(false)
    await sink.stop(0)
    await expect(published).rejects.toMatchObject({ code: 'stopped', retryable: false })
  })

  it('NOTE3 waits for nobody without a webhook, and for nothing that has ended before', async () => {
    const { sink, attempts, finish, taken } = directSink()
    await sink.publish([bidNotification(1, 'ana')])
    const first = sink.publish(to('ben', 2))
    await finish('0-2-ben')
    await first
    await sink.publish(to('ben', 2))
    expect(attempts).toEqual(['0-2-ben 1'])
    expect(taken).toEqual([0, 1, 0])
  })

  it('NOTE3 published twice, waited for twice, delivered once', async () => {
    const { sink, attempts, finish } = directSink()
    const both = Promise.all([sink.publish([...to('ana', 1), ...to('ana', 1)]), sink.publish(to('ana', 1))])
    await finish('0-1-ana')
    await both
    expect(attempts).toEqual(['0-1-ana 1'])
  })

  it('NOTE8 tries again after the wait, counting attempts; the later messages of the buyer wait', async () => {
    const { sink, attempts, clock, finish } = directSink()
    const published = sink.publish(to('ana', 1, 2))
    await finish('0-1-ana', later(1_000))
    clock.advance(999)
    expect(attempts).toEqual(['0-1-ana 1'])
    clock.advance(1)
    expect(attempts).toEqual(['0-1-ana 1', '0-1-ana 2'])
    await finish('0-1-ana')
    await finish('0-2-ana')
    await published
    expect(attempts).toEqual(['0-1-ana 1', '0-1-ana 2', '0-2-ana 1'])
  })

  it('NOTE9 tries again when the dead letter could not be written', async () => {
    const { sink, attempts, clock, finish } = directSink()
    const published = sink.publish(to('ana', 1))
    await finish('0-1-ana', new Error('the disk is full'))
    clock.advance(15_000)
    await finish('0-1-ana')
    await published
    expect(attempts).toEqual(['0-1-ana 1', '0-1-ana 2'])
  })

  it('NOTE12 attempts a bounded number at once; a message that waits occupies no place', async () => {
    const { sink, attempts, finish } = directSink(2)
    const published = sink.publish([...to('ana', 1), ...to('ben', 2), ...to('cem', 3), ...to('dee', 4)])
    expect(attempts).toEqual(['0-1-ana 1', '0-2-ben 1'])
    await finish('0-1-ana', later(60_000))
    expect(attempts.slice(2)).toEqual(['0-3-cem 1'])
    await finish('0-3-cem')
    await finish('0-4-dee')
    await finish('0-2-ben')
    expect(attempts).toHaveLength(4)
    await sink.stop(0)
    await expect(published).rejects.toMatchObject({ code: 'stopped' })
  })

  it('NOTE14 a stop waits for attempts under way, then breaks them off; timers and later publishes end', async () => {
    const { sink, attempts, clock, finish } = directSink()
    const ends = [sink.publish(to('ana', 1)), sink.publish(to('ben', 2)), sink.publish(to('cem', 3))]
    const outcomes = Promise.allSettled(ends)
    await finish('0-3-cem', later(1_000))
    const stopping = sink.stop(500)
    await finish('0-1-ana')
    clock.advance(500)
    await stopping
    expect((await outcomes).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    expect(clock.timerCount).toBe(0)
    await expect(sink.publish(to('ana', 4))).rejects.toMatchObject({ code: 'stopped' })
    expect(attempts).toHaveLength(3)
  })
})
