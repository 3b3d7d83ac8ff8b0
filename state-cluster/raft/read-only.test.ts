import { describe, expect, it } from 'vitest'
import { AssertionError } from './assert.ts'
import { JointConfig, MajorityConfig } from './quorum.ts'
import { ReadOnly } from './read-only.ts'
import { newMessage } from './types.ts'

const three = new JointConfig(new MajorityConfig([1, 2, 3]))
const request = (from: number) => ({ ...newMessage('MsgReadIndex', 1), from })
const taken = (reads: ReadOnly, voters = three): number[] =>
  reads.maybeAdvance(voters).map(({ index }) => index)

describe('ReadOnly', () => {
  it('confirms all that came before a heartbeat that a quorum answered, oldest first, once', () => {
    const reads = new ReadOnly('ReadOnlySafe')
    expect(reads.heartbeatCtx()).toHaveLength(0)
    reads.addRequest(10, request(1))
    reads.addRequest(11, request(2))
    const context = reads.heartbeatCtx()
    reads.addRequest(12, request(3))
    reads.recvAck(1, reads.heartbeatCtx())
    expect(taken(reads)).toEqual([])
    reads.recvAck(2, context)
    expect(taken(reads)).toEqual([10, 11])
    expect(taken(reads)).toEqual([])
    expect(reads.isWaiting()).toBe(true)
    reads.recvAck(3, reads.heartbeatCtx())
    expect(taken(reads)).toEqual([12])
    expect([reads.isWaiting(), reads.heartbeatCtx().length]).toEqual([false, 0])
  })

  it('is not moved by repeated, old or empty answers', () => {
    const reads = new ReadOnly('ReadOnlySafe')
    reads.addRequest(10, request(1))
    const first = reads.heartbeatCtx()
    reads.recvAck(2, first)
    reads.recvAck(2, first)
    reads.recvAck(2, new Uint8Array(0))
    expect(taken(reads)).toEqual([])
    reads.recvAck(3, first)
    expect(taken(reads)).toEqual([10])
    reads.addRequest(11, request(1))
    reads.recvAck(1, first)
    reads.recvAck(2, first)
    expect(taken(reads)).toEqual([])
  })

  it('needs both halves of a joint configuration', () => {
    const joint = new JointConfig(new MajorityConfig([1, 2, 3]), new MajorityConfig([3, 4, 5]))
    const reads = new ReadOnly('ReadOnlySafe')
    reads.addRequest(10, request(1))
    for (const id of [1, 2]) reads.recvAck(id, reads.heartbeatCtx())
    expect(taken(reads, joint)).toEqual([])
    for (const id of [4, 5]) reads.recvAck(id, reads.heartbeatCtx())
    expect(taken(reads, joint)).toEqual([10])
  })

  it('counts far', () => {
    const reads = new ReadOnly('ReadOnlySafe')
    for (let i = 1; i <= 70_000; i++) reads.addRequest(i, request(1))
    const context = reads.heartbeatCtx()
    reads.recvAck(1, context)
    reads.recvAck(2, context)
    expect(reads.maybeAdvance(three)).toHaveLength(70_000)
  })

  it('asserts that a context is one of its own', () => {
    const reads = new ReadOnly('ReadOnlySafe')
    expect(() => reads.recvAck(2, Uint8Array.of(1))).toThrow(AssertionError)
    expect(() => reads.recvAck(2, new Uint8Array(8).fill(255))).toThrow(AssertionError)
  })
})
