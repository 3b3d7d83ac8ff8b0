/**
 * The examples of `examples/`, run as a reader would run them, against a house of their own.
 *
 * Invariant: each example does what its first line says, with the dependencies of this repository alone.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  call,
  collect,
  type House,
  martillo,
  removeFolder,
  root,
  startHouse,
  temporaryFolder,
} from './processes.ts'

const dataDir = temporaryFolder()
const children: ChildProcess[] = []
let house: House

beforeAll(async () => {
  house = await startHouse({ dataDir })
})

afterAll(async () => {
  for (const child of children) child.kill('SIGTERM')
  await house?.stop()
  removeFolder(dataDir)
})

function example(name: string, args: readonly string[], env: NodeJS.ProcessEnv): ReturnType<typeof collect> {
  const child = spawn(process.execPath, [join(root, 'examples', name), ...args], {
    cwd: root,
    env: { ...process.env, ...env },
  })
  children.push(child)
  return collect(child)
}

function records(lines: string): Record<string, unknown>[] {
  return lines
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

const operator = (): { readonly token: string } => ({ token: house.operatorToken() })

async function sellerToken(): Promise<string> {
  const body = { subject: 'gallery-north', roles: ['seller'] }
  const issued = await call(house.url, 'POST', '/tokens', { ...operator(), body })
  return issued.body['token'] as string
}

async function buyer(name: string, more: object = {}): Promise<Record<string, string>> {
  const registered = await call(house.url, 'POST', '/buyers', { body: { name, interests: [], ...more } })
  expect(registered.status).toBe(201)
  return registered.body as Record<string, string>
}

test('seller.mjs puts each thing under the hammer once, however often it runs', async () => {
  const env = { MARTILLO_TOKEN: await sellerToken() }
  const first = await example('seller.mjs', [house.url, 'evening-sale'], env).exit
  const again = await example('seller.mjs', [house.url, 'evening-sale'], env).exit
  expect(first).toMatchObject({ code: 0, stderr: '' })
  expect(records(first.stdout)).toHaveLength(3)
  expect(again.stdout).toBe(first.stdout)
})

test('two of bidder.mjs outbid each other until the one with the higher limit wins', async () => {
  const terms = { title: 'A clock', openingBid: 1000, durationMs: 600_000 }
  const created = await call(house.url, 'POST', '/auctions', { ...operator(), body: terms })
  const id = created.body['id'] as string
  const runs: ReturnType<typeof collect>[] = []
  for (const [name, limit] of [
    ['ada', '3000'],
    ['grace', '5000'],
  ] as const) {
    const { token = '' } = await buyer(name)
    runs.push(example('bidder.mjs', [house.url, id, limit], { MARTILLO_TOKEN: token }))
  }
  const adaIsOut = (): boolean =>
    records(runs[0]?.stdout() ?? '').some(
      (frame) => frame['type'] === 'outbid' && Number(frame['askingBid']) > 3000,
    )
  await expect.poll(adaIsOut, { timeout: 60_000 }).toBe(true)
  expect(await call(house.url, 'POST', `/auctions/${id}/close`, operator())).toMatchObject({ status: 200 })
  const [ada, grace] = await Promise.all(runs.map(async ({ exit }) => records((await exit).stdout)))
  expect(grace?.map(({ type }) => type)).toContain('won')
  expect(ada?.map(({ type }) => type)).toContain('lost')
})

test('webhook-receiver.mjs prints what it can verify and refuses everything else', async () => {
  const port = 20_000 + (process.pid % 20_000)
  const endpoint = `http://127.0.0.1:${port}/`
  const { webhookSecret = '' } = await buyer('Linus', { interests: ['sextants'], endpoint })
  const receiver = example('webhook-receiver.mjs', [String(port)], { WEBHOOK_SECRET: webhookSecret })
  await expect.poll(receiver.stdout, { timeout: 20_000 }).toContain('listening')
  expect((await fetch(endpoint, { method: 'POST', body: '{}' })).status).toBe(401)
  const terms = { title: 'A sextant', tags: ['sextants'], openingBid: 100, durationMs: 600_000 }
  await call(house.url, 'POST', '/auctions', { ...operator(), body: terms })
  await expect.poll(receiver.stdout, { timeout: 20_000 }).toContain('NEW_AUCTION')
})

test('sale.csv is a recorded sale that the house repeats to the cent', async () => {
  const args = ['rehearse', join(root, 'examples/sale.csv'), '--url', house.url, '--data', dataDir, '--json']
  const run = await martillo(args)
  expect(run).toMatchObject({ code: 0, stderr: '' })
})
