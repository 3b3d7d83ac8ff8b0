import { describe, expect, test } from 'vitest'
import { EventTail, eventsMax, type TailEvent } from './event-tail.ts'

const event = (seq: number, epoch = 1): TailEvent => ({ seq, epoch, frame: {} as TailEvent['frame'] })
const seqs = (events: readonly TailEvent[] | undefined): number[] | undefined => events?.map(({ seq }) => seq)

describe('the tail of an auction', () => {
  test('FLOW12 is empty before something was published or read', () => {
    expect(new EventTail().after({ seq: 0, epoch: 0 })).toBeUndefined()
  })

  test('FLOW12 published events follow without a gap, up to the bound', () => {
    const tail = new EventTail()
    for (let seq = 5; seq < 5 + eventsMax + 3; seq += 1) tail.published(event(seq))
    expect(tail.after({ seq: 6, epoch: 1 })).toBeUndefined()
    expect(seqs(tail.after({ seq: 7, epoch: 1 }))).toHaveLength(eventsMax)
    expect(seqs(tail.after({ seq: 22, epoch: 1 }))).toEqual([23])
    expect(tail.after({ seq: 23, epoch: 1 })).toEqual([])
    expect(tail.after({ seq: 24, epoch: 1 })).toBeUndefined()
    expect(tail.after({ seq: 22, epoch: 2 })).toBeUndefined()
  })

  test('FLOW12 after a gap it starts over', () => {
    const tail = new EventTail()
    tail.published(event(1))
    tail.published(event(3))
    expect(tail.after({ seq: 1, epoch: 1 })).toBeUndefined()
    expect(tail.after({ seq: 3, epoch: 1 })).toEqual([])
  })

  test('FLOW12 a read that is ahead of the feed counts, and the feed catches up with it', () => {
    const tail = new EventTail()
    tail.published(event(4))
    tail.read({ seq: 4, epoch: 1 }, [event(5), event(6, 2)])
    tail.published(event(5))
    expect(seqs(tail.after({ seq: 4, epoch: 1 }))).toEqual([5, 6])
    tail.published(event(6, 2))
    tail.published(event(7, 2))
    expect(seqs(tail.after({ seq: 5, epoch: 1 }))).toEqual([6, 7])
    expect(seqs(tail.latest(6, 4))).toEqual([5, 6])
    expect(seqs(tail.latest(7, 2))).toEqual([6, 7])
  })

  test('FLOW12 a read that is older than the last published event changes nothing', () => {
    const tail = new EventTail()
    tail.published(event(8))
    tail.read({ seq: 6, epoch: 1 }, [event(7)])
    tail.read({ seq: 8, epoch: 2 }, [])
    expect(tail.after({ seq: 6, epoch: 1 })).toBeUndefined()
    expect(tail.after({ seq: 8, epoch: 2 })).toBeUndefined()
    expect(tail.after({ seq: 8, epoch: 1 })).toEqual([])
  })
})
