/**
 * The full load of a state cluster: bids through the cluster link.
 *
 * So many are in flight at all times. It goes round over auctions that were seeded. Whether bids survive is audited for those of `Load`, beside it.
 * Invariant: a bid counts once it is acknowledged; throughput is counted in windows of 100 ms, by the clock of this
 * process.
 */
import type { GroupId } from '../../protocol/ids.ts'
import { connectCluster, type RemoteCluster } from '../../state-cluster/index.ts'
import { seededBid } from '../../state-cluster/node/seed-folder.ts'
import { parseSecrets } from '../../wire/proof.ts'
import { tcpDial } from '../../wire/tcp.ts'
import { systemTiming } from '../../wire/timing.ts'
import { clusterEnv } from '../processes.ts'
import type { Station } from '../station.ts'
import { pause } from './load.ts'

const groupId = 0 as GroupId
const windowMs = 100

export interface FullLoadOptions {
  readonly nodes: readonly Station[]
  readonly inFlight: number
  readonly auctions: number
  /** The number of the next bid. */
  readonly from: number
}

export class FullLoad {
  readonly #link: RemoteCluster
  readonly #options: FullLoadOptions
  #next: number
  #running: Promise<unknown> = Promise.resolve()
  #isRunning = false
  /** Bids that were acknowledged in each window, from the start on. */
  readonly #windows: number[] = []
  #beganMs = 0
  acknowledged = 0
  /** Bids without an acknowledgement, by why. */
  readonly failed: Record<string, number> = {}

  static async open(options: FullLoadOptions): Promise<FullLoad> {
    const link = await connectCluster({
      nodes: options.nodes.map(({ address, port }) => ({ host: address, port })),
      dial: tcpDial({ secrets: parseSecrets(clusterEnv.MARTILLO_CLUSTER_SECRET) }),
      timing: systemTiming,
      instance: 'full-load',
      principal: 'server:full-load',
    })
    return new FullLoad(link, options)
  }

  private constructor(link: RemoteCluster, options: FullLoadOptions) {
    this.#link = link
    this.#options = options
    this.#next = options.from
  }

  start(): void {
    this.#isRunning = true
    this.#beganMs = performance.now()
    this.#running = Promise.all(Array.from({ length: this.#options.inFlight }, () => this.#bid()))
  }

  async stop(): Promise<void> {
    this.#isRunning = false
    await this.#running
    await this.#link.close()
  }

  async #bid(): Promise<void> {
    while (this.#isRunning) {
      const bid = seededBid(this.#next++, this.#options.auctions)
      try {
        const reply = await this.#link.propose(groupId, bid)
        if (reply.ok) this.#count()
        else this.#failed(reply.code)
      } catch (error) {
        this.#failed((error as { code?: string }).code ?? 'unexpected')
        // Whatever is wrong, this does not hammer at it.
        await pause(20)
      }
    }
  }

  #count(): void {
    this.acknowledged += 1
    const at = this.#windowOf(performance.now())
    this.#windows[at] = (this.#windows[at] ?? 0) + 1
  }

  #failed(code: string): void {
    this.failed[code] = (this.failed[code] ?? 0) + 1
  }

  #windowOf(ms: number): number {
    return Math.floor((ms - this.#beganMs) / windowMs)
  }

  /** Acknowledged per second between two moments of `performance.now()`. */
  perSecond(fromMs: number, toMs: number): number {
    const windows = this.#windows.slice(this.#windowOf(fromMs), this.#windowOf(toMs))
    const sum = windows.reduce((total, count) => total + (count ?? 0), 0)
    return Math.round((sum * 1_000) / Math.max(windowMs, toMs - fromMs))
  }
}
