import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvariantError } from '../../runtime/assert.ts'
import { TransportError } from '../../wire/errors.ts'
import { EMPTY_BYTES, type Message, type MessageType, newMessage } from '../raft/types.ts'
import { decodeRaftMessage, encodeRaftMessage, messageCodes } from './raft-codec.ts'
import { anyMessage, group, snapshotMessage } from './testing/fixtures.ts'

function travel(groupId: number, message: Message) {
  return decodeRaftMessage(Buffer.concat(encodeRaftMessage(group(groupId), message)))
}

describe('raft messages as bytes', () => {
  it('PEER7: every message that may travel comes back equal, with its group', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 65_535 }), anyMessage, (groupId, message) => {
        expect(travel(groupId, message)).toEqual({ groupId, message })
      }),
      { numRuns: 1000 },
    )
  })

  it('PEER7: a snapshot keeps its metadata and its configuration', () => {
    const message = snapshotMessage(1, 2)
    expect(travel(9, message).message.snapshot).toEqual(message.snapshot)
  })

  it('PEER7: a decoded message is a copy, so its frame may be released', () => {
    const message = newMessage('MsgApp', 2)
    message.from = 1
    message.context = Buffer.from('context')
    message.entries = [{ type: 'EntryNormal', term: 1, index: 5, data: Buffer.from('payload') }]
    const parts = encodeRaftMessage(group(0), message)
    expect(parts.at(-1)).toBe(message.entries[0]?.data)
    const frame = Buffer.concat(parts)
    const decoded = decodeRaftMessage(frame)
    frame.fill(0xff)
    expect(Buffer.from(decoded.message.entries[0]?.data ?? EMPTY_BYTES).toString()).toBe('payload')
    expect(Buffer.from(decoded.message.context).toString()).toBe('context')
  })

  it('PEER7: what a node says to itself or to its storage threads never leaves', () => {
    const local: MessageType[] = [
      'MsgHup',
      'MsgBeat',
      'MsgUnreachable',
      'MsgSnapStatus',
      'MsgCheckQuorum',
      'MsgStorageAppend',
      'MsgStorageAppendResp',
      'MsgStorageApply',
      'MsgStorageApplyResp',
      'MsgForgetLeader',
    ]
    for (const type of local) {
      expect(() => encodeRaftMessage(group(0), newMessage(type, 2))).toThrow(InvariantError)
      expect(messageCodes[type]).toBeUndefined()
    }
    const withResponses = newMessage('MsgApp', 2)
    withResponses.responses = [newMessage('MsgAppResp', 1)]
    expect(() => encodeRaftMessage(group(0), withResponses)).toThrow(InvariantError)
  })

  it('PEER7: damaged bytes give a typed error or a message, never anything else', () => {
    const damage = fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }), cut: fc.nat() })
    fc.assert(
      fc.property(anyMessage, damage, (message, { at, byte, cut }) => {
        const bytes = Buffer.concat(encodeRaftMessage(group(1), message))
        bytes[at % bytes.length] = byte
        const damaged = cut % 3 === 0 ? bytes.subarray(0, cut % (bytes.length + 1)) : bytes
        try {
          const { message: read } = decodeRaftMessage(damaged)
          expect(Object.keys(read)).toEqual(Object.keys(message))
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(TransportError)
          expect((thrown as TransportError).code).toBe('malformed')
        }
      }),
      { numRuns: 3000 },
    )
  })

  it('PEER7: a later version is refused by name', () => {
    const bytes = Buffer.concat(encodeRaftMessage(group(0), { ...newMessage('MsgVote', 2), from: 1 }))
    bytes[0] = 2
    expect(() => decodeRaftMessage(bytes)).toThrow('version 2, 1 is known')
    expect(() => decodeRaftMessage(new Uint8Array(3))).toThrow(TransportError)
  })
})
