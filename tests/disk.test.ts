/**
 * A state node whose disk fills up: it steps aside with a clear line while the other two go on, and comes back by
 * itself when there is space again. The disk is a small tmpfs, so this needs the right to mount one.
 */
import { spawnSync } from 'node:child_process'
import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { RequestId } from '../protocol/ids.ts'
import { houseHttp, openSession } from './bidder.ts'
import { TestCluster } from './cluster.ts'
import { hasTool, removeFolder, temporaryFolder, until } from './processes.ts'
import type { Station } from './station.ts'

const cleanUps: (() => unknown)[] = []
afterAll(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp()
})

const run = (command: string, ...args: string[]): void => {
  const { status, stderr } = spawnSync(command, args)
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`)
}

const probe = temporaryFolder()
const canMount = hasTool('mount', 'sh', ['-c', `mount -t tmpfs -o size=1m none ${probe} && umount ${probe}`])
removeFolder(probe)

describe('DISK1: a full disk', () => {
  test.skipIf(!canMount)('the node steps aside, the cluster continues, the node comes back', drill)
})

async function drill(): Promise<void> {
  const disk = temporaryFolder()
  cleanUps.push(() => removeFolder(disk))
  run('mount', '-t', 'tmpfs', '-o', 'size=64m', 'martillo-test', disk)
  cleanUps.push(() => run('umount', '-l', disk))
  const dataDirOf = (name: string) => (name === 'node-3' ? disk : undefined)
  const cluster = await TestCluster.open({ servers: 1, dataDirOf })
  cleanUps.push(() => cluster.close())
  const third = cluster.nodes[2] as Station

  const url = (cluster.servers[0] as Station).url
  const operator = houseHttp(url, cluster.operatorToken())
  const terms = { title: 'A disk', tags: [], openingBid: 100, durationMs: 3_600_000 }
  const { id: auctionId } = await operator.createAuction(terms)
  const { token } = await operator.registerBuyer({ name: 'Anna', interests: [] })
  const session = openSession(url, token, 'json')
  cleanUps.push(() => session.close())
  let count = 0
  const bid = async (): Promise<void> => {
    const requestId = `bid-${count}` as RequestId
    const outcome = await session.placeBid({ auctionId, amount: 1_000 + 100 * count++, requestId })
    expect(outcome).toMatchObject({ type: 'bid_accepted' })
  }
  await bid()
  await until('the third follows', () => cluster.isReady(third))

  const ballast = join(disk, 'ballast')
  const { bavail, bsize } = statfsSync(disk)
  writeFileSync(ballast, Buffer.alloc(bavail * bsize - 2 ** 20))
  await until('the third steps aside', async () => {
    await bid()
    return !(await cluster.isReady(third))
  })
  expect(third.log).toContain('stepped_aside')
  expect(third.log).toContain('are left for')
  for (let more = 0; more < 20; more++) await bid()
  expect(third.isRunning).toBe(true)

  rmSync(ballast)
  await until('the third is back', () => cluster.isReady(third))
  await cluster.untilEqual()
  await third.stop()
}
