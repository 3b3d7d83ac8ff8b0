/**
 * A server and a notifier as processes of their own, a queue between them: a buyer that knows nothing but what its
 * registration answered can verify what its webhook gets.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TestCluster } from './cluster.ts'
import { call, collect, listening, root, spawnMartillo } from './processes.ts'

interface Post {
  readonly headers: Record<string, string>
  readonly body: string
}

let cluster: TestCluster
let receiver: Server
const children: ChildProcess[] = []
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
  const queue = spawn(process.execPath, ['--import', 'tsx', join(root, 'tests/drills/queue-process.ts')], {
    cwd: root,
  })
  children.push(queue)
  const env = (await listening(queue, collect(queue)))['env'] as NodeJS.ProcessEnv
  cluster = await TestCluster.open({ nodes: 1, servers: 1, env })
  const args = ['notifier', '--json', '--data', join(cluster.folder, 'notifier')]
  const notifier = spawnMartillo(args, cluster.env)
  children.push(notifier)
  await listening(notifier, collect(notifier))
})

afterAll(async () => {
  for (const child of children.reverse()) {
    child.kill('SIGTERM')
    if (child.exitCode === null) await once(child, 'exit')
  }
  await cluster?.close()
  receiver?.close()
})

test('NOTE6 a server gives a buyer the secret that the notifier signs with, without a file that both share', async () => {
  const [server] = cluster.servers
  if (server === undefined) throw new Error('no server')
  const url = cluster.urlOf(server)
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
