/**
 * Bench: a house with very many open auctions.
 *
 * It creates them through the API, kills the house, starts it again on the same data, and reports memory, disk and the
 * time until it serves. The figures in the limits table of README.md come from this command. dist/ must be built.
 *
 * Invariant: the processes are real, and the kill is SIGKILL.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { removeFolder, startHouse, temporaryFolder, until } from '../tests/processes.ts'

/** Starts a house and waits until `/readyz` answers 200. */
async function start(dataDir: string) {
  const startedAt = performance.now()
  const house = await startHouse({ dataDir })
  await until('it is ready', async () => (await fetch(`${house.url}/readyz`)).ok)
  return {
    ...house,
    readyMs: Math.round(performance.now() - startedAt),
    rssMiB() {
      const status = readFileSync(`/proc/${house.process.pid}/status`, 'utf8')
      return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024)
    },
  }
}

/** Creates one auction over a kept-alive connection; rejects with the answer when it is not 201. */
function create(agent: Agent, url: string, token: string, at: number): Promise<void> {
  const body = JSON.stringify({
    title: `Lot ${at}: a thing of some interest`,
    tags: ['bench', `tag-${at % 100}`],
    openingBid: 100 + (at % 1_000),
    durationMs: 7 * 24 * 3_600_000,
    reserve: 5_000,
    softClose: { windowMs: 60_000, extensionMs: 60_000 },
  })
  return new Promise((resolve, reject) => {
    const call = request(
      `${url}/auctions`,
      {
        agent,
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          authorization: `Bearer ${token}`,
          'idempotency-key': `bench-${at}`,
        },
      },
      (answer) => {
        let text = ''
        answer.on('data', (chunk) => {
          text += chunk
        })
        answer.on('end', () =>
          answer.statusCode === 201 ? resolve() : reject(new Error(`${answer.statusCode}: ${text}`)),
        )
      },
    )
    call.on('error', reject)
    call.end(body)
  })
}

function folderMiB(folder: string): number {
  const bytes = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).blocks * 512, 0)
  return Math.round(bytes / 2 ** 20)
}

export interface OpenAuctionsFigures {
  readonly auctions: number
  readonly createdPerSecond: number
  readonly emptyRssMiB: number
  readonly loadedRssMiB: number
  readonly restartedRssMiB: number
  readonly diskMiB: number
  readonly emptyReadyMs: number
  readonly restartReadyMs: number
  readonly node: string
  readonly cpuCount: number
}

/** Loads `auctions` (default 100,000) and measures. Progress goes to stderr. */
export async function openAuctions(auctions = 100_000): Promise<OpenAuctionsFigures> {
  const dataDir = temporaryFolder()
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  try {
    const first = await start(dataDir)
    const emptyRssMiB = first.rssMiB()
    const token = first.operatorToken()
    const loadedAt = performance.now()
    let next = 0
    const worker = async (): Promise<void> => {
      while (next < auctions) {
        const at = next++
        await create(agent, first.url, token, at)
        if ((at + 1) % 10_000 === 0) process.stderr.write(`open-auctions: ${at + 1} of ${auctions} created\n`)
      }
    }
    await Promise.all(Array.from({ length: 64 }, worker))
    const seconds = (performance.now() - loadedAt) / 1_000
    const loadedRssMiB = first.rssMiB()
    await first.stop('SIGKILL')
    const second = await start(dataDir)
    const listed = (await (await fetch(`${second.url}/auctions?status=open&limit=1`)).json()) as {
      auctions: unknown[]
    }
    if (listed.auctions.length !== 1) throw new Error('the restarted house lists no open auction')
    const restartedRssMiB = second.rssMiB()
    await second.stop('SIGKILL')
    return {
      auctions,
      createdPerSecond: Math.round(auctions / seconds),
      emptyRssMiB,
      loadedRssMiB,
      restartedRssMiB,
      diskMiB: folderMiB(dataDir),
      emptyReadyMs: first.readyMs,
      restartReadyMs: second.readyMs,
      node: process.version,
      cpuCount: cpus().length,
    }
  } finally {
    agent.destroy()
    removeFolder(dataDir)
  }
}
