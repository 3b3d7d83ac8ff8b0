import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TestCluster } from './cluster.ts'
import { call } from './processes.ts'

interface Post {
  readonly headers: Record<string, string>
  readonly body: string
}

let cluster: TestCluster
let receiver: Server
const posts: Post[] = []

beforeAll(async () => {
  receiver = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString()
    })
    request.on('end', () => {
      posts.push({ headers: request.headers as Record<string, string>, body })
      response.writeHead(204).end()
    })
  }).listen(0, '127.0.0.1')
  await once(receiver, 'listening')
  cluster = await TestCluster.open({ nodes: 1, servers: 1, hasNotifier: true })
})

afterAll(async () => {
  await cluster?.close()
  receiver?.close()
})

test('NOTE6 a server gives a buyer the secret that the notifier signs with, without a file that both share', async () => {
  const [server] = cluster.servers
  if (server === undefined) throw new Error('no server')
  const url = server.url
  const token = cluster.operatorToken()
  const auction = { title: 'A clock', tags: ['clocks'], openingBid: 100, durationMs: 600_000 }
  expect(await call(url, 'POST', '/auctions', { token, body: auction })).toMatchObject({ status: 201 })
  const endpoint = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`
  const buyer = await call(url, 'POST', '/buyers', { body: { name: 'Ada', interests: ['clocks'], endpoint } })
  const { webhookSecret } = buyer.body as { webhookSecret: string }
  await expect.poll(() => posts.length, { timeout: 20_000 }).toBe(1)
  const { headers, body } = posts[0] as Post
  expect(new Webhook(webhookSecret).verify(body, headers)).toMatchObject({
    id: headers['webhook-id'],
    data: { kind: 'MATCHING_AUCTIONS' },
  })
})
