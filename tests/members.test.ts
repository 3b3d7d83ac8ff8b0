/**
 * Membership from the command line, under bids: a fourth node joins, one is replaced, one leaves; nothing that was
 * acknowledged is lost, and what would lose the majority is refused.
 */
import { afterAll, expect, test } from 'vitest'
import type { BidEntry } from '../protocol/http-bodies.ts'
import type { RequestId } from '../protocol/ids.ts'
import { houseHttp, openSession } from './bidder.ts'
import { TestCluster } from './cluster.ts'
import { martillo, until } from './processes.ts'
import type { Station } from './station.ts'

const cleanUps: (() => unknown)[] = []
afterAll(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp()
})

test('MEMBER4: join, replace and leave from the command line, under bids', async () => {
  const cluster = await TestCluster.open({
    nodes: 3,
    servers: 1,
    env: { MARTILLO_BIDS_PER_SECOND: '100000', MARTILLO_BIDS_BURST: '100000', MARTILLO_LOG_LEVEL: 'warn' },
  })
  cleanUps.push(() => cluster.close())
  const url = (cluster.servers[0] as Station).url
  const operator = houseHttp(url, cluster.operatorToken())
  const { id: auctionId } = await operator.createAuction({
    title: 'A bridge',
    tags: [],
    openingBid: 100,
    durationMs: 3_600_000,
  })
  const { token } = await operator.registerBuyer({ name: 'Anna', interests: [] })
  const session = openSession(url, token, 'json')
  cleanUps.push(() => session.close())
  const acknowledged: number[] = []
  let isBidding = true
  const bidding = (async () => {
    for (let count = 0; isBidding; count++) {
      const requestId = `bid-${count}` as RequestId
      const outcome = await session.placeBid({ auctionId, amount: 1_000 + count * 100, requestId })
      expect(outcome).toMatchObject({ type: 'bid_accepted' })
      acknowledged.push(count)
    }
  })()

  const verb = async (...args: string[]): Promise<{ code: number | null; stderr: string; roles: string }> => {
    const { code, stdout, stderr } = await martillo([
      'state',
      ...args,
      '--state',
      cluster.stateNodes,
      '--json',
    ])
    const rows = stdout
      .split('\n')
      .filter((line) => line.includes('"member"'))
      .map((line) => JSON.parse(line) as { nodeId: number; role: string })
    return { code, stderr, roles: rows.map(({ nodeId, role }) => `${nodeId} ${role}`).join(', ') }
  }
  const moving = async (): Promise<void> => {
    const { length } = acknowledged
    await until('bids go on', () => acknowledged.length > length + 5)
  }

  await moving()
  expect((await verb('members')).roles).toBe('1 voter, 2 voter, 3 voter')
  const fourth = await cluster.newNode(4)
  await fourth.start()
  expect((await verb('join', `4=127.0.0.1:${fourth.port}`)).roles).toBe('1 voter, 2 voter, 3 voter, 4 voter')
  await moving()

  const fifth = await cluster.newNode(5)
  await fifth.start()
  const replaced = await verb('replace', '1', `5=127.0.0.1:${fifth.port}`)
  expect(replaced.roles).toBe('2 voter, 3 voter, 4 voter, 5 voter')
  await (cluster.nodes[0] as Station).stop()
  await moving()

  expect((await verb('leave', '4')).roles).toBe('2 voter, 3 voter, 5 voter')
  await fourth.kill()
  await (cluster.nodes[1] as Station).kill()
  await until('the rest of the majority continues', async () => (await cluster.leader()) !== undefined)
  await moving()
  await until('the leader knows that node 2 is gone', async () => {
    const refused = await verb('leave', '3')
    return refused.code === 1 && refused.stderr.includes('bring back node 2')
  })
  await moving()

  isBidding = false
  await bidding
  const http = houseHttp(url, token)
  const ids: (RequestId | undefined)[] = []
  for (let after: number | undefined = 0; after !== undefined; ) {
    const page: { bids: readonly BidEntry[]; next?: number } = await http.bids(auctionId, {
      after,
      limit: 500,
    })
    ids.push(...page.bids.map(({ you }) => you?.requestId))
    after = page.next
  }
  expect(ids).toEqual(acknowledged.map((count) => `bid-${count}`))
  await cluster.untilEqual(cluster.nodes.filter(({ isRunning }) => isRunning))
})
