/**
 * Tokens that are revoked through one server of a cluster are refused by the other within a second, also after both
 * were started again.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { SubjectId } from '../protocol/ids.ts'
import { houseHttp, openSession } from './bidder.ts'
import { TestCluster } from './cluster.ts'
import { call, martillo, until } from './processes.ts'
import type { Station } from './station.ts'

let cluster: TestCluster
let servers: [Station, Station]

beforeAll(async () => {
  cluster = await TestCluster.open({ nodes: 1, servers: 2 })
  servers = cluster.servers as [Station, Station]
})

afterAll(() => cluster.close())

const tokenOf = async (subject: string): Promise<string> => {
  const operator = houseHttp(servers[0].url, cluster.operatorToken())
  const wanted = { subject: subject as SubjectId, roles: ['bidder' as const], ttlSeconds: 3_600 }
  return (await operator.issueToken(wanted)).token
}
const statusOf = async ({ url }: Station, token: string): Promise<number> =>
  (await call(url, 'GET', '/auctions', { token })).status

test('AUTH11: what one server revokes, the other refuses within a second, sessions included, and after a start', async () => {
  const [first, second] = servers
  const [ann, bob] = [await tokenOf('ann'), await tokenOf('bob')]
  const session = openSession(second.url, ann, 'json')
  await session.opened()
  expect(await statusOf(second, ann)).toBe(200)
  const revoked = await martillo(['revoke', '--subject', 'ann', '--url', first.url, '--data', first.dataDir])
  expect(revoked).toMatchObject({ code: 0, stdout: 'revoked the tokens of ann\n' })
  const sinceMs = performance.now()
  expect(await statusOf(first, ann)).toBe(401)
  await until('the other server refuses it', async () => (await statusOf(second, ann)) === 401)
  // A loaded machine may be late; the bound of the rule is a second beside the delay of this test itself.
  expect(performance.now() - sinceMs).toBeLessThan(3_000)
  await until('its session has ended', () => session.state.name !== 'open')
  session.close()
  expect(await statusOf(second, bob)).toBe(200)
  expect(await statusOf(second, await tokenOf('ann'))).toBe(200)
  await second.kill()
  await second.start()
  expect(await statusOf(second, ann)).toBe(401)
})

test("AUTH11: everybody's tokens are revoked, and each server has a new one for its operator", async () => {
  const [first, second] = servers
  const bob = await tokenOf('bob')
  const former = cluster.operatorToken()
  const data = ['--url', first.url, '--data', first.dataDir]
  expect(await martillo(['revoke', '--all', ...data])).toMatchObject({ code: 0 })
  for (const server of servers) {
    await until('it refuses all', async () => (await statusOf(server, bob)) === 401)
    expect(await statusOf(server, former)).toBe(401)
  }
  for (const { url, dataDir } of [first, second]) {
    await until('its operator is known again', async () => {
      const made = await martillo([
        'token',
        '--role',
        'bidder',
        '--subject',
        'cid',
        '--url',
        url,
        '--data',
        dataDir,
      ])
      return made.code === 0
    })
  }
  expect((await martillo(['revoke', ...data])).code).toBe(2)
})
