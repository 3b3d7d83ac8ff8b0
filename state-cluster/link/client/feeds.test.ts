import { describe, expect, it } from 'vitest'
import type { TransportError } from '../../../wire/errors.ts'
import type { FeedBatch } from '../../cluster.ts'
import { group } from '../../peers/testing/fixtures.ts'
import { decodeReplyBody, decodeRequest, encodeDone, type ReplyBody } from '../wire.ts'
import { Feeds } from './feeds.ts'
import type { NodeLink } from './node-link.ts'

const zero = group(0)

/** A node that records its requests, and answers them when the test calls `answer`. */
class Node {
  isOpen = true
  hasRoom = true
  readonly requests: string[] = []
  readonly #open: (() => void)[] = []

  request(
    encode: (id: number) => Uint8Array,
    onReply: (outcome: ReplyBody | TransportError) => void,
  ): boolean {
    if (!this.hasRoom) return false
    const request = decodeRequest(encode(this.requests.length + 1))
    this.requests.push(request.op === 'subscribe' ? `subscribe after ${request.after}` : request.op)
    const after = request.op === 'subscribe' ? (request.after ?? 100) : 0
    this.#open.push(() => onReply(decodeReplyBody(encodeDone(request.id, after))))
    return true
  }

  answer(): void {
    for (const done of this.#open.splice(0)) done()
  }

  get link(): NodeLink {
    return this as unknown as NodeLink
  }
}

function batch(index: number): FeedBatch {
  return { groupId: zero, index, atMs: 1, events: [], hasOutboxEntries: true }
}

function scene(shown?: number) {
  const noted: number[] = []
  const feeds = new Feeds(
    (_groupId, index) => noted.push(index),
    () => shown,
  )
  const heard: (number | string)[] = []
  const listen = () =>
    feeds.subscribe(
      zero,
      ({ index }) => heard.push(index),
      ({ afterIndex, toIndex }) => heard.push(`${afterIndex} to ${toIndex}`),
    )
  return { feeds, heard, noted, listen }
}

describe('the feeds of a process', () => {
  it('LINK8: repeats, and batches of a node that is no longer preferred, are not passed on', () => {
    const { feeds, heard, noted, listen } = scene(5)
    const first = new Node()
    const second = new Node()
    listen()
    feeds.setPreferred(first.link)
    first.answer()
    for (const index of [6, 7, 7, 6, 9]) feeds.batch(first.link, batch(index))
    feeds.setPreferred(second.link)
    second.answer()
    feeds.batch(first.link, batch(15))
    feeds.gap(first.link, { groupId: zero, index: 50 })
    for (const index of [8, 9, 10, 11]) feeds.batch(second.link, batch(index))
    feeds.gap(second.link, { groupId: zero, index: 11 })
    feeds.gap(second.link, { groupId: zero, index: 20 })
    feeds.batch(second.link, batch(20))
    feeds.batch(second.link, batch(21))
    expect(heard).toEqual([6, 7, 9, 10, 11, '11 to 20', 21])
    expect(first.requests).toEqual(['subscribe after 5', 'unsubscribe'])
    expect(second.requests).toEqual(['subscribe after 9'])
    expect(noted.at(-1)).toBe(21)
  })

  it('LINK8: batches that a node sends before it answers a new subscription are not passed on', () => {
    const { feeds, heard, listen } = scene(5)
    const first = new Node()
    const second = new Node()
    listen()
    feeds.setPreferred(first.link)
    first.answer()
    feeds.batch(first.link, batch(6))
    feeds.setPreferred(second.link)
    // The first node does not know yet that it was left.
    feeds.batch(first.link, batch(7))
    feeds.setPreferred(first.link)
    feeds.batch(first.link, batch(8))
    feeds.gap(first.link, { groupId: zero, index: 9 })
    expect(heard).toEqual([6])
    expect(first.requests).toEqual(['subscribe after 5', 'unsubscribe', 'subscribe after 6'])
    first.answer()
    for (const index of [7, 8, 9, 10]) feeds.batch(first.link, batch(index))
    expect(heard).toEqual([6, 7, 8, 9, 10])
  })

  it('LINK8: the answer to an earlier subscription does not begin the present one', () => {
    const { feeds, heard, listen } = scene(5)
    const first = new Node()
    listen()
    feeds.setPreferred(first.link)
    feeds.setPreferred(new Node().link)
    first.answer()
    feeds.setPreferred(first.link)
    feeds.batch(first.link, batch(8))
    expect(heard).toEqual([])
  })

  it("LINK8: where nothing was shown yet, a feed begins at the index of the node's reply", () => {
    const { feeds, heard, listen } = scene()
    const node = new Node()
    listen()
    feeds.setPreferred(node.link)
    feeds.batch(node.link, batch(99))
    node.answer()
    feeds.batch(node.link, batch(100))
    feeds.batch(node.link, batch(101))
    expect(heard).toEqual([101])
  })

  it('LINK8: a node without room gets the request when it has some, or comes back', () => {
    const { feeds, listen } = scene(3)
    const node = new Node()
    node.hasRoom = false
    feeds.setPreferred(node.link)
    const end = listen()
    expect(node.requests).toEqual([])
    node.hasRoom = true
    feeds.follow()
    feeds.follow()
    expect(node.requests).toEqual(['subscribe after 3'])
    node.isOpen = false
    feeds.setPreferred(undefined)
    feeds.setPreferred(node.link)
    expect(node.requests).toEqual(['subscribe after 3', 'subscribe after 3'])
    end()
    end()
    expect(node.requests.at(-1)).toBe('unsubscribe')
    expect(node.requests.length).toBe(3)
  })
})
