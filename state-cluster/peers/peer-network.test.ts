import { once } from 'node:events'
import { createServer, connect as netConnect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { Acceptor } from '../../wire/acceptor.ts'
import type { ConnectionLimits } from '../../wire/connection.ts'
import { FrameDecoder, frameParts } from '../../wire/frame.ts'
import type { Hello } from '../../wire/handshake.ts'
import { frameKinds } from '../../wire/kinds.ts'
import type { Address } from '../../wire/stream.ts'
import { type TcpOptions, tcpDial, tcpListen } from '../../wire/tcp.ts'
import { helloOf, plainHandshake, quickLimits, until } from '../../wire/testing/fixtures.ts'
import { TcpProxy } from '../../wire/testing/tcp-proxy.ts'
import { testIdentity } from '../../wire/testing/tls.ts'
import { systemTiming } from '../../wire/timing.ts'
import { PeerNetwork } from './peer-network.ts'
import { peerTransportContract } from './peer-transport-contract.ts'
import { encodeRaftMessage } from './raft-codec.ts'
import { group, snapshotMessage, textMessage, Witness } from './testing/fixtures.ts'

interface NodeOptions {
  readonly hello?: Partial<Hello>
  readonly limits?: ConnectionLimits
  readonly tcp?: TcpOptions
  readonly port?: number
}

class Node {
  readonly witness: Witness
  readonly network: PeerNetwork
  readonly acceptor: Acceptor
  readonly acceptFaults: string[]

  private constructor(witness: Witness, network: PeerNetwork, acceptor: Acceptor, acceptFaults: string[]) {
    this.witness = witness
    this.network = network
    this.acceptor = acceptor
    this.acceptFaults = acceptFaults
  }

  static async open(nodeId: number, options: NodeOptions = {}): Promise<Node> {
    const witness = new Witness()
    const faults: string[] = []
    const limits = options.limits ?? quickLimits
    const network = new PeerNetwork({
      hello: helloOf('peer', nodeId, options.hello),
      dial: tcpDial(options.tcp),
      timing: systemTiming,
      handlers: witness,
      limits,
      backoff: { baseMs: 5, maxMs: 50 },
    })
    const acceptor = await Acceptor.open({
      listen: tcpListen(options.tcp),
      address: { host: '127.0.0.1', port: options.port ?? 0 },
      timing: systemTiming,
      limits,
      hello: helloOf('node', nodeId, options.hello),
      owners: { peer: network },
      connectionsMax: 20,
      failed: (cause) => faults.push(`${cause.code}: ${cause.message}`),
    })
    return new Node(witness, network, acceptor, faults)
  }

  get address(): Address {
    return this.acceptor.address
  }

  async close(): Promise<void> {
    await this.network.close()
    await this.acceptor.close()
  }
}

const opened: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const thing of opened.splice(0).reverse()) await thing.close()
})

async function open(nodeId: number, options?: NodeOptions): Promise<Node> {
  const node = await Node.open(nodeId, options)
  opened.push(node)
  return node
}

async function proxyTo(target: Address): Promise<TcpProxy> {
  const proxy = await TcpProxy.open(target)
  opened.push(proxy)
  return proxy
}

peerTransportContract('over TCP', async () => {
  const nodes = new Map<number, Node>()
  const addresses = new Map<number, number>()
  return {
    open: async (nodeId, isUnknown = false) => {
      const instance = `life-${nodeId}-${addresses.size}-${nodes.size}`
      const node = await Node.open(nodeId, { port: addresses.get(nodeId) ?? 0, hello: { instance } })
      addresses.set(nodeId, node.address.port)
      for (const [otherId, other] of nodes) {
        node.network.addPeer(otherId, other.address)
        if (!isUnknown) other.network.addPeer(nodeId, node.address)
      }
      nodes.set(nodeId, node)
      return { transport: node.network, witness: node.witness }
    },
    kill: async (nodeId) => {
      const known = nodes.get(nodeId)
      nodes.delete(nodeId)
      await known?.close()
    },
    close: async () => {
      for (const node of nodes.values()) await node.close()
    },
  }
})

describe('peers over TCP', () => {
  it('PEER3: wrong cluster, wrong settings and a node under another id are refused with the reason on both sides', async () => {
    const house = await open(1)
    const cases: { hello: Partial<Hello>; nodeId: number; code: string }[] = [
      { hello: { clusterId: 'cluster-2' }, nodeId: 2, code: 'wrong_cluster' },
      { hello: { settingsHash: 'settings-2' }, nodeId: 2, code: 'wrong_settings' },
      { hello: {}, nodeId: 1, code: 'duplicate_node_id' },
    ]
    for (const { hello, nodeId, code } of cases) {
      const node = await open(nodeId, { hello: { ...hello, instance: 'other' } })
      node.network.addPeer(nodeId === 1 ? 7 : 1, house.address)
      await until(() => node.witness.faults.length > 0 && house.acceptFaults.length > 0)
      expect(node.witness.faults[0]).toMatchObject({
        code: 'refused',
        message: expect.stringContaining(code),
      })
      expect(house.acceptFaults[0]).toContain('refused')
      expect(node.network.isUp(nodeId === 1 ? 7 : 1)).toBe(false)
      await node.close()
      house.acceptFaults.length = 0
    }
    const stray = await open(3)
    stray.network.addPeer(2, house.address)
    await until(() => stray.witness.faults.length > 0)
    expect(stray.witness.faults[0]?.message).toContain('node 1 answers where node 2 should')
  })

  it('PEER4: of two processes with one node id the second is refused while the first lives, then accepted', async () => {
    const house = await open(1)
    const first = await open(2, { hello: { instance: 'first' } })
    first.network.addPeer(1, house.address)
    await until(() => first.network.isUp(1))
    const second = await open(2, { hello: { instance: 'second' } })
    second.network.addPeer(1, house.address)
    await until(() => second.witness.faults.length > 0)
    expect(second.witness.faults[0]?.message).toContain('duplicate_node_id: node 2 is connected already')
    expect(first.network.isUp(1)).toBe(true)
    await first.close()
    await until(() => second.network.isUp(1))
  })

  it('PEER9: a connection that stops forwarding without closing is noticed by both sides', async () => {
    const limits = { ...quickLimits, silentHeartbeatsMax: 8 }
    const one = await open(1, { limits })
    const two = await open(2, { limits })
    const proxy = await proxyTo(two.address)
    one.network.addPeer(2, proxy.address)
    await until(() => one.network.isUp(2))
    one.network.send(group(0), textMessage(1, 2, 'before'))
    await until(() => two.witness.messages.length === 1)
    proxy.stuck = true
    await until(() => one.witness.events.includes('down 2: silent'))
    await until(() => two.witness.faults.some((fault) => fault.code === 'silent'))
    proxy.stuck = false
    await until(() => one.network.isUp(2))
    one.network.send(group(0), textMessage(1, 2, 'after'))
    await until(() => two.witness.messages.length === 2)
    expect(two.witness.texts()).toEqual(['before', 'after'])
  })

  it('PEER6: a byte changed in transit closes the connection; a new one takes its place', async () => {
    const one = await open(1)
    const two = await open(2)
    const proxy = await proxyTo(two.address)
    one.network.addPeer(2, proxy.address)
    await until(() => one.network.isUp(2))
    proxy.tamper = (chunk) => {
      const at = chunk.indexOf('price')
      if (at < 0) return chunk
      proxy.tamper = undefined
      const changed = Buffer.from(chunk)
      changed[at] = 0x50
      return changed
    }
    one.network.send(group(0), textMessage(1, 2, 'the price is 5'))
    await until(() => two.witness.faults.length > 0)
    expect(two.witness.faults[0]?.code).toBe('corrupt_frame')
    expect(two.witness.messages).toEqual([])
    await until(() => one.witness.events.filter((event) => event === 'up 2').length === 2)
    one.network.send(group(0), textMessage(1, 2, 'the price is 6'))
    await until(() => two.witness.messages.length === 1)
    expect(two.witness.texts()).toEqual(['the price is 6'])
  })

  it('PEER10: for a peer that does not read, memory is bounded, messages are dropped and reported', async () => {
    const limits = { ...quickLimits, outBytesMax: 256 * 1024 }
    const one = await open(1, { limits })
    const two = await open(2)
    const proxy = await proxyTo(two.address)
    one.network.addPeer(2, proxy.address)
    await until(() => one.network.isUp(2))
    proxy.stuck = true
    const text = 'x'.repeat(10_000)
    let mostBytes = 0
    while ((one.network.stats()[0]?.droppedMessages ?? 0) < 100 && one.network.isUp(2)) {
      for (let at = 0; at < 50; at++) one.network.send(group(0), textMessage(1, 2, text))
      mostBytes = Math.max(mostBytes, one.network.stats()[0]?.waitingBytes ?? 0)
      await new Promise(setImmediate)
    }
    expect(one.network.stats()[0]?.droppedMessages).toBeGreaterThanOrEqual(100)
    expect(mostBytes).toBeLessThan(limits.outBytesMax + 11_000)
    await until(() => one.witness.events.includes('unreachable 2 in 0'))
  })

  it('PEER5: a peer that speaks for others, or sends a snapshot without rows, is cut off', async () => {
    const house = await open(1)
    const bad = [textMessage(3, 1, 'in the name of 3'), textMessage(2, 3, 'for 3'), snapshotMessage(2, 1)]
    for (const message of bad) {
      const socket = netConnect({ host: '127.0.0.1', port: house.address.port })
      const faults = house.witness.faults.length
      for (const part of plainHandshake('dialler', helloOf('peer', 2))) socket.write(part)
      for (const part of frameParts(frameKinds.raft, encodeRaftMessage(group(0), message))) socket.write(part)
      socket.resume()
      await once(socket, 'close')
      expect(house.witness.faults.length).toBe(faults + 1)
      expect(house.witness.faults.at(-1)?.code).toBe('malformed')
    }
    expect(house.witness.messages).toEqual([])
  })

  it("PEER5: another protocol is closed; a connection without a handshake takes nobody's place", async () => {
    const house = await open(1)
    const web = netConnect({ host: '127.0.0.1', port: house.address.port })
    web.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    web.resume()
    await once(web, 'close')
    expect(house.acceptFaults.length).toBe(1)
    const sockets = Array.from({ length: 20 }, () =>
      netConnect({ host: '127.0.0.1', port: house.address.port }),
    )
    await until(() => house.acceptor.connectionCount === 20)
    const two = await open(2)
    two.network.addPeer(1, house.address)
    await until(() => two.network.isUp(1))
    await two.close()
    for (const socket of sockets) socket.destroy()
    await until(() => house.acceptor.connectionCount === 0)
  })

  it('PEER8: messages of many groups in one turn leave in one write', async () => {
    const one = await open(1)
    const chunks: Buffer[] = []
    const decoder = new FrameDecoder()
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.write(Buffer.concat(plainHandshake('acceptor', helloOf('node', 2))))
      socket.on('data', (chunk) => chunks.push(chunk))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    opened.push({ close: () => new Promise((resolve) => server.close(() => resolve())) })
    one.network.addPeer(2, { host: '127.0.0.1', port: (server.address() as { port: number }).port })
    opened.push({ close: () => one.close() })
    await until(() => one.network.isUp(2) && chunks.length > 0)
    const before = chunks.length
    for (let at = 0; at < 100; at++) one.network.send(group(at), textMessage(1, 2, `${at}`))
    await until(() => chunks.length > before)
    for (const chunk of chunks.slice(0, before + 1)) decoder.push(chunk)
    let raftFrames = 0
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
      if (frame.kind === frameKinds.raft) raftFrames++
    }
    expect(raftFrames).toBe(100)
  })

  it('PEER11: with mutual TLS nodes talk; a stranger and a plain node do not get in', async () => {
    const tcp = { tls: testIdentity('node') }
    const one = await open(1, { tcp })
    const two = await open(2, { tcp })
    one.network.addPeer(2, two.address)
    two.network.addPeer(1, one.address)
    await until(() => one.network.isUp(2) && two.network.isUp(1))
    one.network.send(group(0), textMessage(1, 2, 'in private'))
    await until(() => two.witness.messages.length === 1)
    const stranger = await open(3, { tcp: { tls: testIdentity('intruder') } })
    const plain = await open(4)
    for (const outsider of [stranger, plain]) {
      outsider.network.addPeer(1, one.address)
      outsider.network.send(group(0), textMessage(outsider.network.nodeId, 1, 'let me in'))
      await until(() => outsider.witness.events.some((event) => event.startsWith('unreachable')))
    }
    const other = await open(5, { tcp })
    other.network.addPeer(1, one.address)
    await until(() => other.network.isUp(1))
    expect([stranger.network.isUp(1), plain.network.isUp(1)]).toEqual([false, false])
    expect(one.witness.messages).toEqual([])
  })

  it('PEER11: a certificate for another name is not accepted', async () => {
    const one = await open(1, { tcp: { tls: testIdentity('node') } })
    const two = await open(2, { tcp: { tls: { ...testIdentity('node'), serverName: 'elsewhere.example' } } })
    const three = await open(3, { tcp: { tls: { ...testIdentity('node'), serverName: 'localhost' } } })
    two.network.addPeer(1, one.address)
    three.network.addPeer(1, one.address)
    await until(() => three.network.isUp(1))
    two.network.send(group(0), textMessage(2, 1, 'x'))
    await until(() => two.witness.events.includes('unreachable 1 in 0'))
    expect(two.network.isUp(1)).toBe(false)
  })

  it('PEER3: a node that stops lets no peer in, and says why', async () => {
    const one = await open(1)
    const two = await open(2)
    await one.network.close()
    two.network.addPeer(1, one.address)
    await until(() => two.witness.faults.length > 0)
    expect(two.witness.faults[0]?.message).toContain('stopping: node 1 is stopping')
    expect(two.network.isUp(1)).toBe(false)
  })

  it('PEER11: an address that cannot be listened on is a typed error', async () => {
    const one = await open(1)
    await expect(Node.open(2, { port: one.address.port })).rejects.toMatchObject({ code: 'connect_failed' })
  })
})
