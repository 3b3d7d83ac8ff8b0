/**
 * The short drill of every test run: three state nodes, two servers, two monitors, a notifier; bidders on auctions
 * that close while the leader and a server are killed; then the audit. The long ones: `npm run --silent chaos`.
 */
import { expect, test } from 'vitest'
import { play } from './drill.ts'
import { killLeader, killServer } from './faults.ts'

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000)

test(`a killed leader and a killed server lose nothing, and what closed meanwhile was made good (seed ${seed})`, async () => {
  const report = await play(
    {
      name: 'short',
      nodes: 3,
      servers: 2,
      monitors: 2,
      hasNotifier: true,
      bidders: 8,
      pauseMs: [40, 120],
      auctions: { count: 20, fromMs: 3_000, toMs: 10_000 },
    },
    { seed, runs: 1, minutes: undefined, note: () => undefined, signal: new AbortController().signal },
    async (scene) => {
      await killLeader(scene, 10)
      await killServer(scene)
    },
  )
  const { findings, missed, counts } = report
  expect({ findings, missed }).toEqual({ findings: [], missed: [] })
  expect(counts).toMatchObject({
    lost: 0,
    twice: 0,
    late: 0,
    bidsUnknown: 0,
    leadersKilled: 1,
    serversKilled: 1,
  })
  expect(counts['webhooks']).toBeGreaterThan(counts['bidsInHistory'] as number)
})
