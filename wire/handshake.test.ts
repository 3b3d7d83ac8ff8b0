import { describe, expect, it } from 'vitest'
import {
  decodeGreeting,
  decodeHello,
  decodeRefusal,
  encodeGreeting,
  encodeHello,
  encodeRefusal,
  type Hello,
  judgeHello,
  settingsHash,
} from './handshake.ts'
import { helloOf } from './testing/fixtures.ts'
import { packTuple } from './tuples.ts'

describe('hello', () => {
  it('PEER1: says role, cluster, node, instance and settings, and comes back equal', () => {
    for (const hello of [
      helloOf('peer', 3),
      helloOf('node', 3, { incarnation: 'folder' }),
      helloOf('link', 0, { clusterId: '', settingsHash: '' }),
    ]) {
      expect(decodeHello(encodeHello(hello))).toEqual(hello)
    }
    const refusal = { code: 'wrong_cluster' as const, reason: 'cluster b, here it is a' }
    expect(decodeRefusal(encodeRefusal(refusal))).toEqual(refusal)
  })

  it('PEER2: another protocol or version is refused in words, whatever else its greeting holds', () => {
    expect(decodeGreeting(packTuple(['another']))).toMatchObject({ code: 'wrong_protocol' })
    expect(decodeGreeting(packTuple(['martillo', 7, 9, 'who', 'knows', 'what']))).toMatchObject({
      code: 'wrong_version',
      reason: 'speaks versions 7 to 9, here 3 to 3',
    })
    expect(decodeGreeting(encodeGreeting(new Uint8Array(32), true))).toEqual({ hasSecret: true })
    expect(() => decodeGreeting(encodeGreeting(new Uint8Array(31), true))).toThrow('short nonce')
    expect(() => decodeHello(packTuple([99]))).toThrow('unknown role')
    expect(() => decodeHello(Buffer.from([0xc1]))).toThrow()
  })

  it('PEER3: a node is refused for its cluster, its settings, its id and its role; the reason names both', () => {
    const own = helloOf('node', 1)
    const judge = (changes: Partial<Hello>, expected = {}) =>
      judgeHello(own, helloOf('peer', 2, changes), { roles: ['peer', 'link'], ...expected })
    expect(judge({})).toBeUndefined()
    expect(judge({ clusterId: 'cluster-2' })).toEqual({
      code: 'wrong_cluster',
      reason: 'cluster cluster-2, here it is cluster-1',
    })
    expect(judge({ clusterId: '' })?.code).toBe('wrong_cluster')
    expect(judge({ settingsHash: 'settings-2' })).toMatchObject({ code: 'wrong_settings' })
    expect(judge({ settingsHash: 'settings-2' })?.reason).toContain('settings-2, here settings-1')
    expect(judge({ nodeId: 1 })?.code).toBe('duplicate_node_id')
    expect(judge({}, { nodeId: 3 })).toEqual({
      code: 'wrong_node',
      reason: 'node 2 answers where node 3 should',
    })
    expect(judge({ role: 'node' })?.code).toBe('wrong_role')
  })

  it('PEER3: a link client may come without knowing the cluster, but not with another one', () => {
    const own = helloOf('node', 1)
    const link = (changes: Partial<Hello>) =>
      judgeHello(own, helloOf('link', 0, { settingsHash: '', ...changes }), { roles: ['peer', 'link'] })
    expect(link({ clusterId: '' })).toBeUndefined()
    expect(link({})).toBeUndefined()
    expect(link({ clusterId: 'cluster-2' })?.code).toBe('wrong_cluster')
  })

  it('PEER1: the hash of the settings depends on names and values, not on their order', () => {
    const hash = settingsHash({ groups: 4, name: 'a' })
    expect(settingsHash({ name: 'a', groups: 4 })).toBe(hash)
    expect(settingsHash({ name: 'a', groups: 5 })).not.toBe(hash)
    expect(settingsHash({ name: 'a', groupz: 4 })).not.toBe(hash)
    expect(hash).toMatch(/^[0-9a-f]{64}$/)
  })
})
