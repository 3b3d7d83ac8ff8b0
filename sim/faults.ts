/**
 * Brings about faults at the rates of the options, and ends each of them.
 *
 * Crashes and restarts, power cuts of all nodes at once, planned stops, paused processes, partitions, broken
 * connections, clocks that jump, disks that stall, fill up, fail, tear and rot, changes of members, and servers that
 * die, pause, leave, or meet a second server of their own name. Their shapes are in partition-shapes.ts.
 *
 * Invariant: at most a minority of disks is ever damaged, and at most one node's wall clock at a time is set wrong,
 * because no cluster survives more; everything else may hit every process. Source: docs/sim.md, "What is drawn".
 */
import type { Random } from '../runtime/random.ts'
import type { SimNode } from './node.ts'
import type { FaultName } from './options.ts'
import { cutAs, partitionShapes } from './partition-shapes.ts'
import type { RunParts } from './run-parts.ts'
import type { SimServer } from './server.ts'

export class Faults {
  readonly #context: RunParts
  readonly #random: Random
  #isOver = false

  constructor(context: RunParts, random: Random) {
    this.#context = context
    this.#random = random
  }

  start(): void {
    for (const [name, perMinute] of Object.entries(this.#context.options.rates)) {
      if (perMinute > 0) this.#again(name as FaultName, 60_000 / perMinute)
    }
  }

  /** Ends all faults; no new one begins. */
  heal(): void {
    this.#isOver = true
    const { network, nodes, servers, monitors, processes } = this.#context
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

  /** A node's process has ended by itself; its supervisor starts it again. */
  restartLater(node: SimNode): void {
    this.#later(300, 3_000, () => node.start(), true)
  }

  /** A node begins to receive a snapshot. */
  receivesSnapshot(node: SimNode): void {
    const { options, counts } = this.#context
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
    const { options, counts } = this.#context
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
    this.#context.world.schedule(-Math.log(1 - this.#random.unit()) * meanMs, () => {
      if (this.#isOver) return
      this.#happen(name)
      this.#again(name, meanMs)
    })
  }

  #happen(name: FaultName): void {
    const { nodes, servers } = this.#context
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
        this.#context.operator.change()
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
    const { counts } = this.#context
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
    this.#context.world.schedule(leastMs + this.#random.unit() * Math.max(0, mostMs - leastMs), () => {
      if (!this.#isOver || always) run()
    })
  }

  #pause(process: SimNode['process'], name: string, mostMs: number): void {
    if (process === undefined || process.isPaused) return
    this.#context.counts.add(name)
    process.pause()
    this.#later(50, mostMs, () => process.resume())
  }

  /** Whether one more disk may be lost. */
  #mayDamage(node: SimNode): boolean {
    return !node.disk.isDamaged && this.#context.operator.mayLose(node)
  }

  #blackout(): void {
    this.#context.counts.add('fault.blackout')
    for (const node of this.#context.nodes) {
      if (!node.isUp) continue
      node.crash()
      this.#later(20, 3_000, () => node.start())
    }
  }

  #jump(): void {
    const { nodes, servers, monitors, options, counts } = this.#context
    const hosts = [...nodes, ...servers, ...monitors]
    const { jumpMsMax } = options.clocks
    counts.add('fault.clock')
    const host = this.#random.pick(hosts)
    if (nodes.some((node) => node === host)) {
      counts.add('clocks.ofNodes')
      // The clock that was wrong before is set right.
      for (const { clock } of nodes) if (clock.hasJumped) clock.correct()
    }
    host.clock.jump(Math.round((this.#random.unit() * 2 - 1) * jumpMsMax))
  }

  // ── Network ──────────────────────────────────────────────────────────────────────────────────────────

  #partition(): void {
    const { network, nodes, counts } = this.#context
    const random = this.#random
    const leader = nodes.find(({ replica }) => replica?.status().isLeader)
    const node = (random.chance(0.7) ? leader : undefined) ?? random.pick(nodes)
    const shape = random.pick(partitionShapes)
    counts.add('fault.partition')
    counts.add(`partition.${shape}`)
    cutAs[shape]({ context: this.#context, random, node })
    if (shape === 'monitors') this.#delayMonitor()
    // Paused meanwhile, a stranded leader still believes that it leads when it resumes.
    if (shape === 'stranded' && random.chance(0.5)) this.#pause(node.process, 'fault.pause', 2_000)
    this.#later(100, random.pick([500, 3_000, 10_000, 25_000]), () => network.heal())
  }

  /** The commands of a monitor are held back, often just when a server dies. */
  #delayMonitor(): void {
    const { servers, monitors } = this.#context
    const random = this.#random
    if (monitors.length === 0) return
    this.#holdBack(random.pick(monitors).host)
    const server = servers.find(({ process }) => process !== undefined)
    if (server !== undefined && random.chance(0.5)) this.#hitServer('serverCrash', server)
  }

  /** What a host sends to the nodes is held back for longer than a lease lasts. */
  #holdBack(host: string): void {
    const { network, nodes } = this.#context
    for (const node of nodes) network.cut(host, node.host)
    this.#later(2_000, 6_000, () => network.heal())
  }

  /** Connections break, although both ends live and nothing is cut. */
  #reset(): void {
    const { peers, wires, nodes, servers, monitors, counts } = this.#context
    const random = this.#random
    counts.add('fault.reset')
    const { host } = random.pick([...nodes, ...servers, ...monitors])
    const isEndpoint = (name: string): boolean => name === host || name === `${host}:1`
    const part = random.pick([0.3, 1])
    wires.reset((name, remote) => (isEndpoint(name) || isEndpoint(remote)) && random.chance(part))
    const node = nodes.find((other) => other.host === host)
    for (const other of node === undefined ? [] : nodes) {
      if (other === node || !random.chance(part)) continue
      const directions = [
        [node?.id as number, other.id],
        [other.id, node?.id as number],
      ] as const
      for (const [from, to] of directions) {
        peers.setWay(from, to, false)
        this.#later(1, 200, () => peers.setWay(from, to, true), true)
      }
    }
  }

  // ── Monitors ─────────────────────────────────────────────────────────────────────────────────────────

  #hitMonitor(name: 'monitorCrash' | 'monitorPause'): void {
    const { monitors, counts } = this.#context
    const running = monitors.filter(({ process }) => process !== undefined && !process.isPaused)
    if (running.length === 0) return
    const monitor = this.#random.pick(running)
    if (name === 'monitorPause') {
      const pause = (): void => this.#pause(monitor.process, 'fault.monitorPause', 6_000)
      const server = this.#context.servers.find(({ process }) => process !== undefined)
      if (server === undefined || this.#random.chance(0.5)) {
        pause()
        return
      }
      // Paused, or cut off, in the middle of handing over what a dead server owns.
      this.#hitServer('serverCrash', server)
      if (this.#random.chance(0.5)) this.#later(0, 100, pause)
      else this.#holdBack(monitor.host)
      return
    }
    counts.add('fault.monitorCrash')
    monitor.crash()
    this.#later(100, this.#random.pick([1_000, 10_000]), () => monitor.start())
  }

  // ── Servers ──────────────────────────────────────────────────────────────────────────────────────────

  #hitServer(name: FaultName, server: SimServer): void {
    const { servers, counts } = this.#context
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
    // It was taken for dead and is only paused: a second server starts under its name, then the first resumes.
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
