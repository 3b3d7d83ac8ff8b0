import { describe, expect, it } from 'vitest'
import { BoundedSet } from './bounded-set.ts'
import { createDelivery, type DeliveryOptions, type ReceivedMessage } from './delivery.ts'
import { outgoingMessage } from './message.ts'
import { bidNotification } from './testing/messages.ts'
import type { PostResult } from './webhook.ts'

const policy = { attemptsMax: 3, baseMs: 1_000, maxMs: 10_000 }
const never = new AbortController().signal
const failed: PostResult = { ok: false, failure: 'status', status: 500, detail: 'the receiver answered 500' }
const took: PostResult = { ok: true, status: 200 }

function received(position: number, receives = 1, buyer = 'ana', endpoint = 'http://shop'): ReceivedMessage {
  return { ...outgoingMessage(bidNotification(position, buyer, endpoint)), receives }
}

function delivering(results: PostResult[], settings: Partial<DeliveryOptions> = {}) {
  const posted: string[] = []
  const dead: string[] = []
  const settled: string[] = []
  const delivery = createDelivery({
    policy,
    post: async ({ id }) => {
      posted.push(id)
      return results.shift() ?? took
    },
    deadLetter: async ({ deduplicationId }, reason) => {
      dead.push(`${deduplicationId}: ${reason}`)
    },
    random: () => 1,
    onAttempt: () => undefined,
    onSettled: (id, outcome) => settled.push(`${id} ${outcome}`),
    ...settings,
  })
  return { delivery, posted, dead, settled }
}

describe('delivering one notification', () => {
  it('NOTE8 waits longer after each failure, with jitter over the upper half, up to the longest', async () => {
    const waitAfter = async (receives: number, random: number, retryAfterMs = 0): Promise<unknown> => {
      const result = { ...failed, retryAfterMs }
      const { delivery } = delivering([result], {
        policy: { ...policy, attemptsMax: 100 },
        random: () => random,
      })
      const verdict = await delivery.deliver(received(1, receives), never)
      return verdict.settled ? verdict.outcome : verdict.retryInMs
    }
    const waits = await Promise.all([1, 2, 3, 4, 5, 50].map((receives) => waitAfter(receives, 1)))
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000])
    expect(await waitAfter(2, 0)).toBe(1_000)
    expect(await waitAfter(1, 0, 7_000)).toBe(7_000)
    expect(await waitAfter(1, 0, 3_600_000)).toBe(10_000)
  })

  it('NOTE8 keeps a failed one in the queue for its next attempt', async () => {
    const { delivery, settled } = delivering([failed, { ...failed, retryAfterMs: 5_000 }, took])
    expect(await delivery.deliver(received(1, 1), never)).toMatchObject({ settled: false, retryInMs: 1_000 })
    expect(await delivery.deliver(received(1, 2), never)).toMatchObject({ settled: false, retryInMs: 5_000 })
    expect(delivery.isSettled('0-1-ana')).toBe(false)
    expect(await delivery.deliver(received(1, 3), never)).toEqual({ settled: true, outcome: 'delivered' })
    expect(settled).toEqual(['0-1-ana delivered'])
    expect(delivery.isSettled('0-1-ana')).toBe(true)
  })

  it('NOTE9 gives up after the last attempt, and the queue continues', async () => {
    const { delivery, dead } = delivering([failed])
    expect(await delivery.deliver(received(1, 3), never)).toEqual({ settled: true, outcome: 'dead_lettered' })
    expect(dead).toEqual(['0-1-ana: the receiver answered 500'])
  })

  it.each(['gone', 'endpoint_invalid', 'address_refused'] as const)(
    'NOTE9 gives up at once when the webhook is %s',
    async (failure) => {
      const { delivery, dead } = delivering([{ ok: false, failure, detail: 'no use' }])
      const verdict = await delivery.deliver(received(1, 1), never)
      expect(verdict).toEqual({ settled: true, outcome: 'dead_lettered' })
      expect(dead).toEqual(['0-1-ana: no use'])
    },
  )

  it('NOTE9 a message that is no event is dead-lettered, not posted', async () => {
    for (const body of ['', 'hello', '[]', 'null', '{"id":7}', '{"id":""}']) {
      const { delivery, dead, posted } = delivering([])
      await delivery.deliver({ ...received(1), body, deduplicationId: 'x' }, never)
      expect(dead).toEqual(['x: not a CloudEvent'])
      expect(posted).toEqual([])
    }
  })

  it('NOTE9 has not ended while the dead-letter queue cannot be reached', async () => {
    const { delivery, settled } = delivering([failed], {
      deadLetter: () => Promise.reject(new Error('queue: unreachable')),
    })
    await expect(delivery.deliver(received(1, 3), never)).rejects.toThrow('unreachable')
    expect(settled).toEqual([])
    expect(delivery.isSettled('0-1-ana')).toBe(false)
  })

  it('NOTE10 a webhook that used up its attempts gets one for each later message until it answers', async () => {
    const { delivery, dead } = delivering([failed, failed, took, failed])
    await delivery.deliver(received(1, 3), never)
    expect(await delivery.deliver(received(2, 1), never)).toMatchObject({ outcome: 'dead_lettered' })
    expect(await delivery.deliver(received(3, 1), never)).toMatchObject({ outcome: 'delivered' })
    expect(await delivery.deliver(received(4, 1), never)).toMatchObject({ settled: false })
    expect(dead.map((line) => line.split(':')[0])).toEqual(['0-1-ana', '0-2-ana'])
  })

  it('NOTE10 another buyer keeps its full retries', async () => {
    const { delivery } = delivering([failed, failed])
    await delivery.deliver(received(1, 3), never)
    expect(await delivery.deliver(received(2, 1, 'ben'), never)).toMatchObject({ settled: false })
  })

  it('NOTE11 drops a repeat of what was delivered or given up', async () => {
    const { delivery, posted, settled } = delivering([took])
    await delivery.deliver(received(1), never)
    expect(await delivery.deliver(received(1, 2), never)).toEqual({ settled: true, outcome: 'repeated' })
    expect(posted).toEqual(['0-1-ana'])
    expect(settled).toEqual(['0-1-ana delivered', '0-1-ana repeated'])
  })

  it('NOTE11 does not post what is being posted already', async () => {
    let finish = (_: PostResult): void => undefined
    const { delivery } = delivering([], {
      post: () =>
        new Promise((resolve) => {
          finish = resolve
        }),
    })
    const first = delivery.deliver(received(1), never)
    expect(await delivery.deliver(received(1, 2), never)).toMatchObject({ settled: false })
    finish(took)
    expect(await first).toMatchObject({ outcome: 'delivered' })
  })

  it('NOTE3 a message to a buyer without a webhook is not posted, and has ended', async () => {
    const { delivery, posted } = delivering([])
    const message = { ...outgoingMessage(bidNotification(1, 'ana')), receives: 1 }
    expect(await delivery.deliver(message, never)).toEqual({ settled: true, outcome: 'without_endpoint' })
    expect(posted).toEqual([])
  })

  it('NOTE14 a post that was broken off is no failed attempt', async () => {
    const { delivery, dead } = delivering([{ ok: false, failure: 'stopped', detail: 'stopping' }])
    expect(await delivery.deliver(received(1, 3), never)).toMatchObject({ settled: false, retryInMs: 0 })
    expect(dead).toEqual([])
  })

  it('NOTE11 remembers a bounded number, the youngest', () => {
    const set = new BoundedSet(2)
    for (const member of ['a', 'b', 'a', 'c']) set.add(member)
    expect(['a', 'b', 'c'].map((member) => set.has(member))).toEqual([true, false, true])
    expect(set.size).toBe(2)
  })
})
