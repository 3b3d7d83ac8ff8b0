/**
 * Bench: the throughput and latency of one replica on a real disk.
 *
 * It measures bids committed, applied and answered per second with 1, 64 and 256 of them in flight, checkpoints and
 * history included. One process, one group, 1,000 auctions with 50 bidders each. The speed of the disk itself (append
 * and fdatasync of 4 KiB) is measured beside it, because absolute figures differ between computers.
 *
 * Invariant: every bid is a command of its own, and only answered bids count.
 */
import { fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { auctionCount, createAuction, placeBid } from './bids.ts'
import { onSingleNode } from './single-node.ts'

export interface ReplicaRun {
  readonly inFlight: number
  readonly committedPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Transactions of the disk per second, each with one sync of data and one of its meta page. */
  readonly transactionsPerSecond: number
  readonly commandsPerEntry: number
  /** Processor time of this process per bid, the bench's own included. */
  readonly cpuMicrosPerBid: number
  readonly diskBytesPerBid: number
}

export interface ReplicaFigures {
  readonly runs: readonly ReplicaRun[]
  readonly rawSyncsPerSecond: number
  readonly cpu: string
  readonly node: string
}

async function measure(inFlight: number, seconds: number): Promise<ReplicaRun> {
  return await onSingleNode(async ({ cluster, must }) => {
    await Promise.all(Array.from({ length: auctionCount }, (_, number) => must(createAuction(number))))
    let next = 0
    const waits: number[] = []
    const bidUntil = async (endMs: number, isNoted: boolean): Promise<void> => {
      for (let beganMs = performance.now(); beganMs < endMs; ) {
        await must(placeBid(next++))
        const nowMs = performance.now()
        if (isNoted) waits.push(nowMs - beganMs)
        beganMs = nowMs
      }
    }
    const allBid = async (forMs: number, isNoted: boolean): Promise<void> => {
      const endMs = performance.now() + forMs
      await Promise.all(Array.from({ length: inFlight }, () => bidUntil(endMs, isNoted)))
    }
    await allBid(1_000, false)
    const diskBefore = cluster.load().disk
    const indexBefore = cluster.status().groups[0]?.appliedIndex ?? 0
    const cpuBefore = process.cpuUsage()
    const beganMs = performance.now()
    await allBid(seconds * 1_000, true)
    const elapsed = (performance.now() - beganMs) / 1_000
    const cpu = process.cpuUsage(cpuBefore)
    const disk = cluster.load().disk
    const entries = (cluster.status().groups[0]?.appliedIndex ?? 0) - indexBefore
    waits.sort((a, b) => a - b)
    const at = (share: number): number =>
      round(waits[Math.min(waits.length - 1, Math.floor(waits.length * share))] ?? 0)
    return {
      inFlight,
      committedPerSecond: Math.round(waits.length / elapsed),
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      maxMs: at(1),
      transactionsPerSecond: Math.round((disk.transactions - diskBefore.transactions) / elapsed),
      commandsPerEntry: round(waits.length / entries),
      cpuMicrosPerBid: round((cpu.user + cpu.system) / waits.length),
      diskBytesPerBid: Math.round((disk.usedBytes - diskBefore.usedBytes) / waits.length),
    }
  })
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}

/** Appends of 4 KiB, each with its fdatasync, in one second. */
function measureRawSyncs(): number {
  const folder = mkdtempSync(join(tmpdir(), 'martillo-bench-'))
  const file = openSync(join(folder, 'file'), 'w')
  const block = new Uint8Array(4_096)
  const beganMs = performance.now()
  let count = 0
  for (; performance.now() - beganMs < 1_000; count++) {
    writeSync(file, block)
    fdatasyncSync(file)
  }
  rmSync(folder, { recursive: true })
  return count
}

/** Measures; takes about half a minute with the defaults. Progress goes to stderr. */
export async function replica({ inFlight = [1, 64, 256], seconds = 6 } = {}): Promise<ReplicaFigures> {
  const rawSyncsPerSecond = measureRawSyncs()
  const runs: ReplicaRun[] = []
  for (const count of inFlight) {
    process.stderr.write(`replica: ${count} in flight\n`)
    runs.push(await measure(count, seconds))
  }
  return { runs, rawSyncsPerSecond, cpu: cpus()[0]?.model ?? 'unknown', node: process.version }
}
