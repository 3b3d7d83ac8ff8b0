import { describe, expect, it } from 'vitest'
import { until } from '../../wire/testing/fixtures.ts'
import { systemTiming } from '../../wire/timing.ts'
import { MemoryNetwork, type Packet } from './memory-transport.ts'
import type { PeerTransport } from './peer-transport.ts'
import { peerTransportContract } from './peer-transport-contract.ts'
import { group, rowsOf, snapshotMessage, textMessage, Witness } from './testing/fixtures.ts'

const nowhere = { host: 'memory', port: 1 }

peerTransportContract('in memory', async () => {
  const network = new MemoryNetwork({ carry: (_packet, arrive) => setImmediate(arrive) })
  const transports = new Map<number, PeerTransport>()
  return {
    open: async (nodeId, isUnknown = false) => {
      const witness = new Witness()
      const transport = network.open(nodeId, witness, systemTiming)
      for (const [otherId, other] of transports) {
        transport.addPeer(otherId, nowhere)
        if (!isUnknown) other.addPeer(nodeId, nowhere)
      }
      transports.set(nodeId, transport)
      return { transport, witness }
    },
    kill: async (nodeId) => {
      transports.delete(nodeId)
      network.unplug(nodeId)
    },
    close: async () => {
      for (const transport of transports.values()) await transport.close()
    },
  }
})

/** Two nodes whose packets wait in a bag until the test hands them out. */
function held() {
  const bag: { packet: Packet; arrive: () => void }[] = []
  const network = new MemoryNetwork({ carry: (packet, arrive) => bag.push({ packet, arrive }) })
  const one = new Witness()
  const two = new Witness()
  const first = network.open(1, one, systemTiming)
  const second = network.open(2, two, systemTiming)
  first.addPeer(2, nowhere)
  second.addPeer(1, nowhere)
  return { bag, network, one, two, first, second }
}

describe('the memory network', () => {
  it('PEER15: its owner loses, doubles and reorders as it likes; bytes are not shared', () => {
    const { bag, first, two } = held()
    const message = textMessage(1, 2, 'a')
    for (const text of ['a', 'b', 'c']) first.send(group(0), textMessage(1, 2, text))
    first.send(group(0), message)
    message.entries[0]?.data.fill(0)
    const [a, b, c, d] = bag
    for (const item of [c, a, a, d]) item?.arrive()
    expect(two.texts()).toEqual(['c', 'a', 'a', 'a'])
    expect(b?.packet).toMatchObject({ from: 1, to: 2 })
  })

  it('PEER15: a connection can be cut in one direction; packets in flight are lost with it', async () => {
    const { bag, network, one, first, second, two } = held()
    await until(() => one.events.length === 1 && two.events.length === 1)
    first.send(group(0), textMessage(1, 2, 'under way'))
    network.setWay(1, 2, false)
    bag.shift()?.arrive()
    expect(two.texts()).toEqual([])
    second.send(group(0), textMessage(2, 1, 'back'))
    bag.shift()?.arrive()
    expect(one.texts()).toEqual(['back'])
    await until(() => one.events.includes('down 2: closed'))
    expect(two.events).toEqual(['up 1'])
    network.setWay(1, 2, true)
    await until(() => one.events.filter((event) => event === 'up 2').length === 2)
  })

  it('PEER14: a lost, doubled or misplaced chunk aborts the snapshot on both sides', async () => {
    for (const fault of ['lose', 'double', 'swap'] as const) {
      const { bag, first, two } = held()
      await until(() => first.isUp(2))
      const sent = first.sendSnapshot(group(0), snapshotMessage(1, 2), rowsOf(2_000, 1_000))
      const outcome = expect(sent).rejects.toMatchObject({ code: 'snapshot_aborted' })
      let chunks = 0
      const pump = setInterval(() => {
        const next = bag.shift()
        if (next === undefined) return
        if (next.packet.kind === 18) chunks++
        const hit = next.packet.kind === 18 && chunks === 2
        if (hit && fault === 'swap') bag.push(next)
        else if (!hit || fault === 'double') next.arrive()
        if (hit && fault === 'double') next.arrive()
      }, 0)
      await outcome
      clearInterval(pump)
      expect(two.sinks[0]).toMatchObject({ finished: false, aborted: { code: 'snapshot_aborted' } })
      expect(two.messages).toEqual([])
    }
  })
})
