import { describe, expect, it } from 'vitest'
import { type Clock, ManualClock } from '../../runtime/clock.ts'
import { systemTiming } from '../../wire/timing.ts'
import { packTuple } from '../../wire/tuples.ts'
import { type HouseReading, PeerClocks } from './peer-clocks.ts'
import { group } from './testing/fixtures.ts'

const hourMs = 3_600_000

interface Host {
  readonly id: number
  clocks: PeerClocks
  offMs: number
  bootMs: number
  readings: HouseReading[]
  readonly heard: { from: number; houseMs: number; errorMs: number }[]
}

/** Nodes on one network, whose frames take `delayMs` each way; wall and monotonic clocks differ from node to node. */
class Network {
  readonly time = new ManualClock()
  readonly hosts = new Map<number, Host>()
  delayMs = (_from: number, _to: number): number => 5

  constructor(offsetsMs: readonly number[]) {
    offsetsMs.forEach((offMs, at) => {
      this.open(at + 1, offMs, 1_000 * at)
    })
  }

  open(id: number, offMs: number, bootMs: number): Host {
    const host = { id, offMs, bootMs, readings: [], heard: [] } as unknown as Host
    this.hosts.get(id)?.clocks.close()
    this.hosts.set(id, host)
    const clock: Clock = {
      nowMs: () => this.time.nowMs() + host.offMs,
      monotonicMs: () => this.time.monotonicMs() + host.bootMs,
      setTimer: (delayMs, fire) => this.time.setTimer(delayMs, fire),
    }
    host.clocks = new PeerClocks({
      nodeId: id,
      timing: { ...systemTiming, clock, afterTurn: (run) => run(), random: () => 0.5 },
      send: (to, body) => {
        this.time.setTimer(this.delayMs(id, to), () => this.hosts.get(to)?.clocks.received(id, body))
      },
      peers: () => this.hosts.keys(),
      readings: () => host.readings,
      heard: (from, { houseMs }, errorMs) => host.heard.push({ from, houseMs, errorMs }),
      compared: () => undefined,
    })
    host.clocks.start()
    return host
  }

  host(id: number): Host {
    return this.hosts.get(id) as Host
  }

  /** How far from true time it is on what a node sees a majority agree. */
  errorMs(id: number): number | undefined {
    const agreed = this.host(id).clocks.agreed([...this.hosts.keys()])
    return agreed && agreed.wallMs - this.time.nowMs()
  }

  offset(id: number, of = id): number | undefined {
    return this.host(id).clocks.offsetOf(of, [...this.hosts.keys()])
  }
}

describe('clocks of the nodes', () => {
  it('TIME3: each node knows the others to half a round trip, and what a majority agrees on', () => {
    const network = new Network([0, 300, -200])
    network.delayMs = (from, to) => (from < to ? 2 : 22)
    network.time.advance(3_000)
    for (const id of [1, 2, 3]) {
      const error = network.errorMs(id) as number
      expect(Math.abs(error)).toBeLessThanOrEqual(12)
      expect(Math.abs((network.offset(id, 2) as number) - 300)).toBeLessThanOrEqual(24)
    }
  })

  it('TIME3: one wrong clock of three changes nothing for the others, and knows itself wrong', () => {
    for (const wrongMs of [hourMs, -hourMs, 73 * 365 * 24 * hourMs]) {
      const network = new Network([0, 10, 0])
      network.time.advance(3_000)
      network.host(3).offMs = wrongMs
      expect(Math.abs(network.errorMs(3) as number)).toBeLessThan(20)
      expect(network.offset(3)).toBeCloseTo(wrongMs, -2)
      network.time.advance(2_000)
      for (const id of [1, 2, 3]) expect(Math.abs(network.errorMs(id) as number)).toBeLessThan(20)
      expect(Math.abs(network.offset(1, 3) as number)).toBeGreaterThan(hourMs - 100)
    }
  })

  it('TIME3: without a majority that agrees there is no time', () => {
    const network = new Network([0, hourMs, -hourMs])
    network.time.advance(3_000)
    for (const id of [1, 2, 3]) {
      expect(network.errorMs(id)).toBeUndefined()
      expect(network.offset(id)).toBeUndefined()
      expect(network.host(id).clocks.isSplit([1, 2, 3])).toBe(true)
    }
    network.host(2).offMs = 500
    network.time.advance(2_000)
    expect(Math.abs(network.errorMs(1) as number)).toBeLessThanOrEqual(260)
    expect(network.host(1).clocks.agreed([1])?.clockCount).toBe(1)
  })

  it('TIME2: without agreement, a time has passed if so many clocks show it that one of them is right', () => {
    const passed = (offsetsMs: readonly number[], voters: readonly number[]): number | undefined => {
      const network = new Network(offsetsMs)
      network.time.advance(3_000)
      const wallMs = network.host(1).clocks.passed(voters)
      return wallMs && Math.round((wallMs - network.time.nowMs()) / 100) * 100
    }
    expect(passed([0, hourMs], [1, 2, 3])).toBe(0)
    expect(passed([0, -hourMs], [1, 2, 3])).toBe(-hourMs)
    expect(passed([hourMs, 0, -hourMs], [1, 2, 3])).toBe(0)
    expect(passed([0, 2 * hourMs, hourMs], [1, 2, 3, 4, 5])).toBe(0)
    expect(passed([0, hourMs], [1, 2, 3, 4, 5])).toBeUndefined()
    expect(passed([700], [1])).toBe(700)
  })

  it('TIME3: a reading that came slowly, or answers an earlier process, does not count', () => {
    const slow = new Network([0, 0])
    slow.delayMs = () => 300
    slow.time.advance(5_000)
    expect(slow.errorMs(1)).toBeUndefined()

    const network = new Network([0, 0])
    network.time.advance(5_000)
    const again = network.open(2, 0, -4_900)
    // An answer to what the process before it sent at 4,000 of its own monotonic clock.
    again.clocks.received(1, packTuple([network.time.nowMs() + hourMs, 5_000, 4_000, 0, []]))
    expect(again.clocks.agreed([1, 2])).toBeUndefined()
    network.time.advance(1_100)
    expect(Math.abs(network.errorMs(2) as number)).toBeLessThan(20)
  })

  it('TIME3: nodes that meet compare at once, and a node that fell silent counts for a minute', () => {
    const network = new Network([0, 40])
    network.host(1).clocks.greet(2)
    network.time.advance(100)
    expect(network.errorMs(1)).toBeDefined()
    expect(network.errorMs(2)).toBeDefined()
    network.host(2).clocks.close()
    network.time.advance(55_000)
    expect(network.errorMs(1)).toBeDefined()
    network.time.advance(10_000)
    expect(network.errorMs(1)).toBeUndefined()
  })

  it('TIME3: house time of the groups that a node leads travels along, and damaged frames are refused', () => {
    const network = new Network([0, 0])
    network.host(1).readings = [{ groupId: group(7), isCounted: true, shifts: 0, houseMs: 5_000_000 }]
    network.time.advance(3_000)
    expect(network.host(2).heard.at(-1)).toEqual({ from: 1, houseMs: 5_000_005, errorMs: 5 })
    expect(network.host(1).heard).toEqual([])
    for (const body of [[1], [1, -1, null, 0, []], [1, 1, null, 0, [[1, 2, 3]]], [1, 1, null, 0, [], 0]])
      expect(() => network.host(1).clocks.received(2, packTuple(body))).toThrow(/clocks|house time/)
  })
})
