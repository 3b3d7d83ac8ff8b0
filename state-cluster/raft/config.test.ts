import { describe, expect, it } from 'vitest'
import { AssertionError } from './assert.ts'
import { type Config, settingsOf } from './config.ts'
import { MemoryStorage } from './memory-storage.ts'
import { nodeConfig } from './test-group.ts'
import { NO_LIMIT } from './types.ts'

const config = (change: Partial<Config> = {}): Config => nodeConfig(1, new MemoryStorage(), change)

describe('settingsOf', () => {
  it('fills in what was left out', () => {
    expect(settingsOf(config())).toMatchObject({
      applied: 0,
      asyncStorageWrites: false,
      maxSizePerMsg: NO_LIMIT,
      maxCommittedSizePerReady: NO_LIMIT,
      maxUncommittedEntriesSize: NO_LIMIT,
      maxInflightBytes: NO_LIMIT,
      checkQuorum: false,
      preVote: false,
      readOnlyOption: 'ReadOnlySafe',
      disableProposalForwarding: false,
      disableConfChangeValidation: false,
      stepDownOnRemoval: false,
    })
    expect(settingsOf(config({ maxSizePerMsg: 100 })).maxCommittedSizePerReady).toBe(100)
    expect(settingsOf(config({ maxSizePerMsg: 0 })).maxSizePerMsg).toBe(0)
    expect(settingsOf(config({ maxUncommittedEntriesSize: 0 })).maxUncommittedEntriesSize).toBe(NO_LIMIT)
  })

  it.each<[string, Partial<Config>]>([
    ['no id', { id: 0 }],
    ['the id of a storage thread', { id: -1 }],
    ['an id that is no integer', { id: 1.5 }],
    ['no heartbeat', { heartbeatTick: 0 }],
    ['an election timeout that heartbeats cannot beat', { electionTick: 1, heartbeatTick: 1 }],
    ['no message in flight', { maxInflightMsgs: 0 }],
    ['fewer bytes in flight than in a message', { maxInflightBytes: 10, maxSizePerMsg: 11 }],
    ['leases without a check of the quorum', { readOnlyOption: 'ReadOnlyLeaseBased' }],
  ])('refuses %s', (_name, change) => {
    expect(() => settingsOf(config(change))).toThrow(AssertionError)
  })

  it('takes leases with a check of the quorum', () => {
    const settings = settingsOf(config({ readOnlyOption: 'ReadOnlyLeaseBased', checkQuorum: true }))
    expect(settings.readOnlyOption).toBe('ReadOnlyLeaseBased')
  })
})
