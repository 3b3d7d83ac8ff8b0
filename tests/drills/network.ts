/**
 * A network for each station: Linux namespaces joined by one bridge.
 *
 * Any pair can be cut off from each other, in both directions or in one. It needs root, `ip` and `iptables`, and reports
 * where it lacks them.
 *
 * Invariant: what was made is removed by `close`; outside the namespaces only the bridge is changed.
 */
import { spawnSync } from 'node:child_process'
import type { Network } from '../cluster.ts'

function run(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

function mustRun(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`)
}

/** A private range that a machine hardly uses for anything else. */
const prefix = '10.213.77.'

export class Namespaces implements Network {
  readonly #tag = `md${process.pid % 100_000}`
  readonly #names: readonly string[]

  private constructor(names: readonly string[]) {
    this.#names = names
  }

  /** Namespaces for these stations; a reason where this machine does not allow it. */
  static open(names: readonly string[]): Namespaces | string {
    if (!run('iptables', '--version')) return 'there is no iptables here'
    const network = new Namespaces(names)
    try {
      network.#make()
      return network
    } catch (error) {
      network.close()
      return (error as Error).message.trim()
    }
  }

  #make(): void {
    const bridge = this.#tag
    mustRun('ip', 'link', 'add', bridge, 'type', 'bridge')
    mustRun('ip', 'addr', 'add', `${prefix}1/24`, 'dev', bridge)
    mustRun('ip', 'link', 'set', bridge, 'up')
    for (const [at, name] of this.#names.entries()) {
      const space = this.#spaceOf(name)
      const outer = `${bridge}-${at}`
      mustRun('ip', 'netns', 'add', space)
      mustRun('ip', 'link', 'add', outer, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space)
      mustRun('ip', 'link', 'set', outer, 'master', bridge, 'up')
      mustRun('ip', '-n', space, 'addr', 'add', `${this.addressOf(name)}/24`, 'dev', 'eth0')
      mustRun('ip', '-n', space, 'link', 'set', 'eth0', 'up')
      mustRun('ip', '-n', space, 'link', 'set', 'lo', 'up')
      mustRun('ip', 'netns', 'exec', space, 'iptables', '-S')
    }
  }

  #spaceOf(name: string): string {
    return `${this.#tag}-${name}`
  }

  /** Of a station; of what runs outside, the bridge's. */
  addressOf(name: string): string {
    const at = this.#names.indexOf(name)
    return `${prefix}${at < 0 ? 1 : at + 10}`
  }

  wrapOf(name: string): readonly string[] {
    return this.#names.includes(name) ? ['ip', 'netns', 'exec', this.#spaceOf(name)] : []
  }

  /** What `from` sends does not reach `to` any more. */
  cutOneWay(from: string, to: string): void {
    const space = this.#spaceOf(to)
    mustRun('ip', 'netns', 'exec', space, 'iptables', '-A', 'INPUT', '-s', this.addressOf(from), '-j', 'DROP')
  }

  /** Nothing passes between the two. */
  cut(one: string, other: string): void {
    this.cutOneWay(one, other)
    this.cutOneWay(other, one)
  }

  heal(): void {
    for (const name of this.#names)
      mustRun('ip', 'netns', 'exec', this.#spaceOf(name), 'iptables', '-F', 'INPUT')
  }

  close(): void {
    for (const name of this.#names) run('ip', 'netns', 'del', this.#spaceOf(name))
    run('ip', 'link', 'del', this.#tag)
  }
}
