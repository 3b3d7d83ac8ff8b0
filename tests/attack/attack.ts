/**
 * What attacks share: the port of a case, and the scene that it plays in.
 *
 * A scene starts real processes from the built dist/, watches their memory and that they live, and ends them.
 *
 * Invariant: a process that ended by itself is a finding, whatever the case looked at; nothing outlives `close`.
 */
import { execFileSync } from 'node:child_process'
import { type House, removeFolder, startHouse, temporaryFolder } from '../processes.ts'

/** One case: a file `point-NN.ts` in this folder that exports it as `attack`. */
export interface Attack {
  /** Its number in the list of attacks, as in the file's name. */
  readonly point: number
  /** What is tried, in one line. */
  readonly title: string
  /** Tries it. What did not hold goes to `scene.broken`, what was measured to `scene.fact`. */
  run(scene: Scene): Promise<void>
}

export interface AttackReport {
  readonly point: number
  readonly title: string
  readonly held: boolean
  /** What did not hold, a sentence each. */
  readonly broken: readonly string[]
  readonly facts: Readonly<Record<string, number | string>>
  /** Resident memory of all watched processes: when each had started, and at the end. */
  readonly memoryMiB: { readonly before: number; readonly after: number }
  readonly ms: number
}

interface Watched {
  readonly name: string
  readonly pid: number
  readonly beforeMiB: number
  readonly isRunning: () => boolean
}

export class Scene {
  readonly #broken: string[] = []
  readonly #facts: Record<string, number | string> = {}
  readonly #watched: Watched[] = []
  readonly #cleanups: (() => void | Promise<void>)[] = []

  /** Something did not hold. */
  broken(sentence: string): void {
    this.#broken.push(sentence)
  }

  /** Notes a finding unless something holds. */
  holds(what: string, isSo: boolean): void {
    if (!isSo) this.broken(`not so: ${what}`)
  }

  fact(name: string, value: number | string): void {
    this.#facts[name] = value
  }

  /** Starts a house of one process on a free port with a folder of its own. */
  async house(
    options: { readonly args?: readonly string[]; readonly env?: NodeJS.ProcessEnv } = {},
  ): Promise<House> {
    const dataDir = temporaryFolder()
    this.onEnd(() => removeFolder(dataDir))
    const house = await startHouse({ dataDir, ...options })
    const child = house.process
    let isStopped = false
    const stop: House['stop'] = (signal) => {
      isStopped = true
      return house.stop(signal)
    }
    this.watch(
      'house',
      child.pid as number,
      () => isStopped || (child.exitCode === null && child.signalCode === null),
    )
    this.onEnd(async () => {
      const { code, signal, stderr } = await stop()
      if (code !== 0) this.broken(`the house ended with ${signal ?? code}: ${stderr.slice(-500)}`)
    })
    return { ...house, stop }
  }

  /** Measures a process that the case started, and holds it to still run at the end. */
  watch(name: string, pid: number, isRunning: () => boolean): void {
    this.#watched.push({ name, pid, beforeMiB: residentMiB(pid), isRunning })
  }

  /** Later cleanups run first. */
  onEnd(cleanup: () => void | Promise<void>): void {
    this.#cleanups.push(cleanup)
  }

  /** Whether an HTTP request is answered with 200 within `ms`. */
  async answers(url: string, ms = 5000): Promise<boolean> {
    try {
      return (await fetch(url, { signal: AbortSignal.timeout(ms) })).ok
    } catch {
      return false
    }
  }

  /** Resident memory of all watched processes now. */
  get memoryMiB(): number {
    return Math.round(this.#watched.reduce((sum, { pid }) => sum + residentMiB(pid), 0))
  }

  async play(attack: Attack): Promise<AttackReport> {
    const sinceMs = performance.now()
    try {
      await attack.run(this)
    } catch (error) {
      this.broken(`the case itself failed: ${(error as Error).stack}`)
    }
    for (const { name, isRunning } of this.#watched) if (!isRunning()) this.broken(`${name} ended by itself`)
    const memoryMiB = {
      before: Math.round(this.#watched.reduce((sum, { beforeMiB }) => sum + beforeMiB, 0)),
      after: this.memoryMiB,
    }
    for (const cleanup of this.#cleanups.splice(0).reverse()) await cleanup()
    return {
      point: attack.point,
      title: attack.title,
      held: this.#broken.length === 0,
      broken: this.#broken,
      facts: this.#facts,
      memoryMiB,
      ms: Math.round(performance.now() - sinceMs),
    }
  }
}

/** 0 once it is gone. */
function residentMiB(pid: number): number {
  try {
    const text = execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })
    return Number(text) / 1024
  } catch {
    return 0
  }
}
