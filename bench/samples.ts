/**
 * Samples memory and disk over time, and decides whether they stay flat.
 *
 * A checkpoint comes and goes, so single samples are not compared: the greatest of the quarter before the half-way
 * mark is compared with the greatest of the last quarter. Memory is split into the heap, what the process holds
 * itself, and pages of the data file, which the system can take back at any time.
 *
 * Invariant: a sample follows a full garbage collection.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { SingleNode } from '../state-cluster/index.ts'

export interface Sample {
  /** Bids, or auctions: what is counted. */
  readonly done: number
  readonly seconds: number
  /** All of the process, pages of files included. */
  readonly rssBytes: number
  /** Of the process alone: without pages of files. */
  readonly ownBytes: number
  readonly heapBytes: number
  readonly logBytes: number
  readonly stateBytes: number
  readonly historyBytes: number
  /** Pages in use: the three above, and what of pages is not filled. */
  readonly usedBytes: number
  readonly fileBytes: number
  /** Pages of the file that wait to be used again. */
  readonly freeBytes: number
  readonly outboxLength: number
}

type Measure = 'ownBytes' | 'heapBytes' | 'logBytes' | 'stateBytes' | 'freeBytes'

export interface Growth {
  readonly atHalfBytes: number
  readonly atEndBytes: number
  readonly isFlat: boolean
}

/** More of the process's memory or of a part of the disk than this at the end, and it was not flat. */
const toleratedRatio = 1.1
/** Parts that are small all along may double. */
const toleratedBytes = 8 * 2 ** 20

/** So often in a row nothing waits for the disk when it is at rest. */
const quietPolls = 10
const quietPollMs = 10

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

export class Samples {
  readonly taken: Sample[] = []
  readonly #cluster: SingleNode
  readonly #what: string
  readonly #beganMs = performance.now()

  constructor(cluster: SingleNode, what: string) {
    this.#cluster = cluster
    this.#what = what
  }

  async take(done: number): Promise<void> {
    const seconds = Math.round((performance.now() - this.#beganMs) / 100) / 10
    const [group] = this.#cluster.status().groups
    // Before the disk is at rest: what waits for a checkpoint is part of the memory that the load takes.
    collectGarbage()
    const memory = {
      rssBytes: process.memoryUsage.rss(),
      ownBytes: residentAlone(),
      heapBytes: process.memoryUsage().heapUsed,
    }
    await this.#diskAtRest()
    const parts = await this.#cluster.diskParts()
    const { usedBytes, fileBytes } = this.#cluster.load().disk
    const sample: Sample = {
      done,
      seconds,
      ...memory,
      ...parts,
      usedBytes,
      fileBytes,
      freeBytes: fileBytes - usedBytes,
      outboxLength: group?.outboxLength ?? 0,
    }
    this.taken.push(sample)
    const [own, heap, log, state, history, file] = [
      sample.ownBytes,
      sample.heapBytes,
      sample.logBytes,
      sample.stateBytes,
      sample.historyBytes,
      sample.fileBytes,
    ].map((bytes) => `${Math.round(bytes / 2 ** 20)} MiB`)
    process.stderr.write(
      `${done.toLocaleString('en')} ${this.#what}, ${seconds} s: own ${own}, heap ${heap}, log ${log}, state ${state}, history ${history}, file ${file}\n`,
    )
  }

  growthOf(measure: Measure): Growth {
    const atHalfBytes = this.#most(measure, 0.25, 0.5)
    const atEndBytes = this.#most(measure, 0.75, 1)
    const most = Math.max(atHalfBytes * toleratedRatio, atHalfBytes + toleratedBytes)
    return { atHalfBytes, atEndBytes, isFlat: atEndBytes <= most }
  }

  /** What a measure rises by for each that is done, from the half-way mark to the end. */
  perEach(measure: keyof Sample): number {
    const middle = this.taken[Math.floor(this.taken.length / 2)] as Sample
    const last = this.taken.at(-1) as Sample
    return Math.round((10 * (last[measure] - middle[measure])) / (last.done - middle.done)) / 10
  }

  /** No checkpoint is being written: while one is, a look at the disk would keep its old pages from being used again. */
  async #diskAtRest(): Promise<void> {
    for (let quiet = 0; quiet < quietPolls; ) {
      await sleep(quietPollMs)
      quiet = this.#cluster.load().disk.backlog === 0 ? quiet + 1 : 0
    }
  }

  #most(measure: Measure, from: number, to: number): number {
    const last = this.taken.length - 1
    return Math.max(...this.taken.slice(Math.ceil(last * from), last * to + 1).map((one) => one[measure]))
  }
}

/** Resident memory that is no file's, in bytes; all of it where the system does not report it. */
function residentAlone(): number {
  try {
    const text = readFileSync('/proc/self/status', 'utf8')
    return 1_024 * Number(/RssAnon:\s+(\d+)/.exec(text)?.[1])
  } catch {
    return process.memoryUsage.rss()
  }
}
