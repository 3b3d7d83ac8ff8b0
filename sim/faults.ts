/**
 * Trouble, at the rates that the options say, and the end of each: crashes and restarts, power cuts of all nodes at
 * once, planned stops, stopped processes, partitions of all shapes, connections that break, clocks that jump, disks
 * that stall, fill up, fail, tear and rot, members that come and go, servers that die, sleep, leave, or meet their own
 * replacement. Invariant: at most a minority of disks is ever
 * damaged, because no cluster survives more; everything else may hit everybody.
 */
import type { Random } from '../state-cluster/raft/fuzz/random.ts'
import type { SimNode } from './node.ts'
import type { FaultName } from './options.ts'
import type { House } from './run-context.ts'
import type { SimServer } from './server.ts'

/** What a partition looks like. */
const shapes = [
  'isolated',
  'halves',
  'deaf',
  'mute',
  'bridge',
  'ring',
  'joint',
  'servers',
  'monitors',
  'stranded',
  'outcast',
] as const

export class Faults {
  readonly #house: House
  readonly #random: Random
  #isOver = false

  constructor(house: House, random: Random) {
    this.#house = house
    this.#random = random
  }

  start(): void {
    for (const [name, perMinute] of Object.entries(this.#house.options.rates)) {
      if (perMinute > 0) this.#again(name as FaultName, 60_000 / perMinute)
    }
  }

  /** No more trouble, and an end to what there is. */
  heal(): void {
    this.#isOver = true
    const { network, nodes, servers, monitors, processes } = this.#house
    network.calm()
    for (const node of nodes) {
      node.disk.stallMs = 0
      node.disk.failWith(undefined)
      node.clock.correct()
    }
    for (const { clock } of [...servers, ...monitors]) clock.correct()
    for (const process of processes.values()) if (process.isPaused) process.resume()
    for (const server of servers) if (server.host.endsWith('-double')) server.crash()
    for (const node of nodes) node.start()
    for (const monitor of monitors) monitor.start()
    for (const server of servers) if (!server.host.endsWith('-double')) server.start()
  }

  /** A node's process has ended by itself, and whoever watches it starts it again. */
  restartLater(node: SimNode): void {
    this.#later(300, 3_000, () => node.start(), true)
  }

  /** A node begins to take in a snapshot. */
  takesSnapshot(node: SimNode): void {
    const { options, counts } = this.#house
    if (this.#isOver || !this.#random.chance(options.snapshotCrash)) return
    const { process } = node
    this.#later(0, this.#random.pick([30, 300]), () => {
      if (node.process !== process) return
      counts.add('fault.snapshotCrash')
      node.crash()
      this.#later(20, 1_000, () => node.start())
    })
  }

  /** A node has promised its vote. */
  votes(node: SimNode): void {
    const { options, counts } = this.#house
    if (this.#isOver || !this.#random.chance(options.voteCrash)) return
    const { process } = node
    this.#later(0, 3, () => {
      if (node.process !== process) return
      counts.add('fault.voteCrash')
      node.crash()
      this.#later(1, 30, () => node.start())
    })
  }

  #again(name: FaultName, meanMs: number): void {
    this.#house.world.schedule(-Math.log(1 - this.#random.unit()) * meanMs, () => {
      if (this.#isOver) return
      this.#happen(name)
      this.#again(name, meanMs)
    })
  }

  #happen(name: FaultName): void {
    const { nodes, servers } = this.#house
    const random = this.#random
    const up = nodes.filter((node) => node.isUp)
    const leader = up.find(({ replica }) => replica?.status().isLeader)
    const node = (random.chance(0.3) ? leader : undefined) ?? (up.length > 0 ? random.pick(up) : undefined)
    const running = servers.filter((server) => server.process !== undefined && !server.process.isPaused)
    const server = running.length > 0 ? random.pick(running) : undefined
    switch (name) {
      case 'partition':
        this.#partition()
        return
      case 'blackout':
        this.#blackout()
        return
      case 'clock':
        this.#jump()
        return
      case 'members':
        this.#house.operator.change()
        return
      case 'reset':
        this.#reset()
        return
      case 'monitorCrash':
      case 'monitorPause':
        this.#hitMonitor(name)
        return
      case 'serverCrash':
      case 'serverPause':
      case 'serverStop':
      case 'doppelganger':
        if (server !== undefined) this.#hitServer(name, server)
        return
      default:
        if (node !== undefined) this.#hitNode(name, node)
    }
  }

  #hitNode(name: FaultName, node: SimNode): void {
    const { counts } = this.#house
    const random = this.#random
    switch (name) {
      case 'crash':
        counts.add('fault.crash')
        node.crash()
        this.#later(50, random.pick([500, 5_000, 20_000]), () => node.start())
        return
      case 'nodeStop':
        counts.add('fault.nodeStop')
        node.stop(() => this.#later(50, 3_000, () => node.start(), true))
        return
      case 'tornWrite':
        if (!this.#mayDamage(node)) return
        node.crash(true)
        this.#later(50, 3_000, () => node.start())
        return
      case 'bitFlip':
        if (!this.#mayDamage(node) || !node.disk.rot()) return
        // Rot is found when it is read: often at the next start.
        if (random.chance(0.7))
          this.#later(0, 2_000, () => {
            node.crash()
            this.#later(50, 2_000, () => node.start())
          })
        return
      case 'pause':
        this.#pause(node.process, 'fault.pause', 5_000)
        return
      case 'diskStall':
        counts.add('fault.diskStall')
        node.disk.stallMs = random.pick([20, 200, 1_500])
        this.#later(100, 4_000, () => {
          node.disk.stallMs = 0
        })
        return
      case 'diskFull':
      case 'diskFail':
        counts.add(`fault.${name}`)
        node.disk.failWith(name === 'diskFull' ? 'disk_full' : 'disk_failed')
        this.#later(500, 8_000, () => node.disk.failWith(undefined))
        return
      default:
    }
  }

  #later(leastMs: number, mostMs: number, run: () => void, always = false): void {
    this.#house.world.schedule(leastMs + this.#random.unit() * Math.max(0, mostMs - leastMs), () => {
      if (!this.#isOver || always) run()
    })
  }

  #pause(process: SimNode['process'], name: string, mostMs: number): void {
    if (process === undefined || process.isPaused) return
    this.#house.counts.add(name)
    process.pause()
    this.#later(50, mostMs, () => process.resume())
  }

  /** Whether one more disk may be lost. */
  #mayDamage(node: SimNode): boolean {
    return !node.disk.isDamaged && this.#house.operator.mayLose(node)
  }

  #blackout(): void {
    this.#house.counts.add('fault.blackout')
    for (const node of this.#house.nodes) {
      if (!node.isUp) continue
      node.crash()
      this.#later(20, 3_000, () => node.start())
    }
  }

  #jump(): void {
    const { nodes, servers, monitors, options, counts } = this.#house
    const hosts = [...nodes, ...servers, ...monitors]
    const { jumpMsMax } = options.clocks
    counts.add('fault.clock')
    this.#random.pick(hosts).clock.jump(Math.round((this.#random.unit() * 2 - 1) * jumpMsMax))
  }

  // ── Network ──────────────────────────────────────────────────────────────────────────────────────────

  #partition(): void {
    const { network, nodes, servers, monitors, operator, counts } = this.#house
    const random = this.#random
    const hosts = [...nodes, ...servers, ...monitors, operator].map(({ host }) => host)
    const leader = nodes.find((node) => node.replica?.status().isLeader)
    const one = (random.chance(0.7) ? leader : undefined) ?? random.pick(nodes)
    const shape = random.pick(shapes)
    counts.add('fault.partition')
    counts.add(`partition.${shape}`)
    const cutBetween = (side: readonly string[], isBothWays: boolean): void => {
      for (const inside of side) {
        for (const outside of hosts) {
          if (side.includes(outside)) continue
          network.cut(inside, outside)
          if (isBothWays) network.cut(outside, inside)
        }
      }
    }
    switch (shape) {
      case 'isolated':
        cutBetween([one.host], true)
        break
      case 'halves':
        cutBetween(
          hosts.filter(() => random.chance(0.5)),
          true,
        )
        break
      case 'outcast':
        // No other node sees it, and servers still do.
        for (const { host } of nodes) {
          if (host === one.host) continue
          network.cut(one.host, host)
          network.cut(host, one.host)
        }
        break
      case 'deaf':
        // It is heard, and hears nobody.
        for (const outside of hosts) if (outside !== one.host) network.cut(outside, one.host)
        break
      case 'mute':
        cutBetween([one.host], false)
        break
      case 'ring': {
        // Each node sees its two neighbours alone.
        const ring = nodes.filter(({ isRetired }) => !isRetired)
        ring.forEach(({ host }, at) => {
          for (const [place, other] of ring.entries()) {
            const distance = Math.abs(place - at)
            if (distance > 1 && distance < ring.length - 1) network.cut(host, other.host)
          }
        })
        break
      }
      case 'joint': {
        // Two sides that do not see each other, and one node that sees both.
        const sides = hosts.filter((host) => host !== one.host)
        const left = sides.filter(() => random.chance(0.5))
        for (const inside of left) {
          for (const outside of sides) {
            if (left.includes(outside)) continue
            network.cut(inside, outside)
            network.cut(outside, inside)
          }
        }
        break
      }
      case 'monitors': {
        // A monitor whose commands are held up sees a server die.
        if (monitors.length === 0) break
        this.#hush(random.pick(monitors).host)
        const server = servers.find(({ process }) => process !== undefined)
        if (server !== undefined && random.chance(0.5)) this.#hitServer('serverCrash', server)
        break
      }
      case 'bridge': {
        // Two nodes that do not see each other, while others see both.
        const other = random.pick(nodes)
        network.cut(one.host, other.host)
        network.cut(other.host, one.host)
        break
      }
      case 'stranded':
        // A leader with its clients, and all others on the far side.
        cutBetween([one.host, ...servers.filter(() => random.chance(0.5)).map(({ host }) => host)], true)
        // Asleep meanwhile, it still believes to lead when it wakes up.
        if (random.chance(0.5)) this.#pause(one.process, 'fault.pause', 2_000)
        break
      case 'servers':
        for (const { host } of servers) {
          network.cut(host, one.host)
          if (random.chance(0.5)) network.cut(one.host, host)
        }
    }
    this.#later(100, random.pick([500, 3_000, 10_000, 25_000]), () => network.heal())
  }

  /** What it says to the nodes is held up for longer than a lease lasts. */
  #hush(host: string): void {
    const { network, nodes } = this.#house
    for (const node of nodes) network.cut(host, node.host)
    this.#later(2_000, 6_000, () => network.heal())
  }

  /** Connections break, although both ends live and the way is there. */
  #reset(): void {
    const { letters, wires, nodes, servers, monitors, counts } = this.#house
    const random = this.#random
    counts.add('fault.reset')
    const { host } = random.pick([...nodes, ...servers, ...monitors])
    const isMeant = (name: string): boolean => name === host || name === `${host}:1`
    const part = random.pick([0.3, 1])
    wires.reset((name, remote) => (isMeant(name) || isMeant(remote)) && random.chance(part))
    const node = nodes.find((other) => other.host === host)
    for (const other of node === undefined ? [] : nodes) {
      if (other === node || !random.chance(part)) continue
      const ways = [
        [node?.id as number, other.id],
        [other.id, node?.id as number],
      ] as const
      for (const [from, to] of ways) {
        letters.setWay(from, to, false)
        this.#later(1, 200, () => letters.setWay(from, to, true), true)
      }
    }
  }

  // ── Monitors ─────────────────────────────────────────────────────────────────────────────────────────

  #hitMonitor(name: 'monitorCrash' | 'monitorPause'): void {
    const { monitors, counts } = this.#house
    const running = monitors.filter(({ process }) => process !== undefined && !process.isPaused)
    if (running.length === 0) return
    const monitor = this.#random.pick(running)
    if (name === 'monitorPause') {
      const pause = (): void => this.#pause(monitor.process, 'fault.monitorPause', 6_000)
      const server = this.#house.servers.find(({ process }) => process !== undefined)
      if (server === undefined || this.#random.chance(0.5)) {
        pause()
        return
      }
      // Asleep, or not heard, in the middle of handing over what a dead server owns.
      this.#hitServer('serverCrash', server)
      if (this.#random.chance(0.5)) this.#later(0, 100, pause)
      else this.#hush(monitor.host)
      return
    }
    counts.add('fault.monitorCrash')
    monitor.crash()
    this.#later(100, this.#random.pick([1_000, 10_000]), () => monitor.start())
  }

  // ── Servers ──────────────────────────────────────────────────────────────────────────────────────────

  #hitServer(name: FaultName, server: SimServer): void {
    const { servers, counts } = this.#house
    if (name === 'serverPause') {
      this.#pause(server.process, 'fault.serverPause', 8_000)
      return
    }
    if (name === 'serverCrash') {
      counts.add('fault.serverCrash')
      server.crash()
      this.#later(100, this.#random.pick([1_000, 10_000]), () => server.start())
      return
    }
    if (name === 'serverStop') {
      counts.add('fault.serverStop')
      server.stop(() => this.#later(100, 5_000, () => server.start(), true))
      return
    }
    // Thought dead, it was only asleep: another begins in its name, and then it wakes up.
    const double = servers.find((other) => other.host === `${server.host}-double`)
    if (double === undefined || double.process !== undefined) return
    counts.add('fault.doppelganger')
    const { process } = server
    process?.pause()
    double.start()
    this.#later(1_000, 6_000, () => process?.resume())
    this.#later(7_000, 12_000, () => double.crash())
  }
}
