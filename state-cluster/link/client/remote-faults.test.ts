import { once } from 'node:events'
import { connect as netConnect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { frameParts } from '../../../wire/frame.ts'
import { frameKinds } from '../../../wire/kinds.ts'
import { helloOf, plainHandshake, quickLimits, until } from '../../../wire/testing/fixtures.ts'
import { TcpProxy } from '../../../wire/testing/tcp-proxy.ts'
import { packTuple } from '../../../wire/tuples.ts'
import { createAuction } from '../testing/fake-cluster.ts'
import {
  addressesOf,
  bids,
  closeAll,
  keep,
  Listener,
  lot,
  openLink,
  openNodes,
  range,
  type TestNode,
  zero,
} from '../testing/tcp-nodes.ts'

afterEach(closeAll)

describe('faults of nodes, clients and bytes', () => {
  it('LINK4: a node that hangs is left for another within its heartbeats', async () => {
    const state = await openNodes(2)
    const proxies = [
      keep(await TcpProxy.open((state.nodes[0] as TestNode).address)),
      keep(await TcpProxy.open((state.nodes[1] as TestNode).address)),
    ]
    const limits = { connection: { ...quickLimits, silentHeartbeatsMax: 8 } }
    const cluster = await openLink(
      proxies.map((proxy) => proxy.address),
      limits,
    )
    const listener = new Listener(cluster)
    await cluster.propose(zero, createAuction(lot))
    for (const [at, proxy] of proxies.entries()) {
      proxy.stuck = true
      state.fake.elect(2 - at)
      const replies = await bids(cluster, at * 10 + 1, at * 10 + 5)
      expect(replies.every((reply) => reply.ok)).toBe(true)
      await until(() => listener.seqs().length === 1 + (at + 1) * 5)
      proxy.stuck = false
      proxy.cut()
      await until(() => state.nodes[at]?.service.sessionCount === 1)
    }
    expect(listener.seqs()).toEqual(range(1, 11))
    expect(listener.gaps).toEqual([])
  })

  it('LINK4: bytes damaged in either direction lose nothing and repeat nothing', async () => {
    const state = await openNodes(1)
    const proxy = keep(await TcpProxy.open((state.nodes[0] as TestNode).address))
    const cluster = await openLink([proxy.address])
    const listener = new Listener(cluster)
    await cluster.propose(zero, createAuction(lot))
    let chunks = 0
    proxy.tamper = (chunk) => {
      chunks++
      if (chunks % 7 !== 0) return chunk
      const changed = Buffer.from(chunk)
      changed[changed.length >> 1] = (changed[changed.length >> 1] as number) ^ 0x10
      return changed
    }
    for (const at of range(1, 60)) expect((await bids(cluster, at, at))[0]).toMatchObject({ ok: true })
    proxy.tamper = undefined
    await until(() => listener.seqs().at(-1) === 61)
    expect(listener.seqs()).toEqual(range(1, 61))
    expect(proxy.connections).toBeGreaterThan(1)
    expect(await cluster.auction(lot)).toMatchObject({ bidCount: 60 })
  })

  it('LINK4: a client that breaks the protocol is disconnected, and others continue', async () => {
    const state = await openNodes(1)
    const node = state.nodes[0] as TestNode
    const cluster = await openLink(addressesOf(state))
    const bad: readonly (readonly [number, Uint8Array])[] = [
      [frameKinds.linkRequest, Buffer.from([0xc1, 0xff])],
      [frameKinds.linkRequest, packTuple([1, 99, 0])],
      [frameKinds.linkRequest, packTuple([1, 1, 0, [packTuple([3, 'half a bid'])]])],
      [frameKinds.linkRequest, packTuple([1, 3, 77, null])],
      [frameKinds.linkRequest, packTuple([1, 2, [], 1, 5])],
      [frameKinds.raft, packTuple([1])],
    ]
    for (const [kind, body] of bad) {
      const faults = node.faults.length
      const socket = netConnect({ host: '127.0.0.1', port: node.address.port })
      socket.resume()
      const hello = plainHandshake('dialler', helloOf('link', 0, { settingsHash: '' }))
      socket.write(Buffer.concat([...hello, ...frameParts(kind as 16, [body])]))
      await once(socket, 'close')
      expect(node.faults.slice(faults)).toEqual(['malformed'])
    }
    expect(await cluster.propose(zero, createAuction(lot))).toMatchObject({ ok: true })
  })

  it('LINK4: the clients of a node that stops take their requests to the others', async () => {
    const state = await openNodes(3)
    const cluster = await openLink(addressesOf(state))
    await cluster.propose(zero, createAuction(lot))
    for (const at of [0, 1]) {
      state.nodes[at]?.service.close()
      state.fake.elect(3)
      expect((await bids(cluster, at * 10 + 1, at * 10 + 3)).every((reply) => reply.ok)).toBe(true)
      expect(await cluster.auction(lot)).toMatchObject({ bidCount: at * 3 + 3 })
    }
  })
})
