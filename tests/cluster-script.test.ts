/**
 * `npm run cluster` as a reader meets it: all processes come up, work together, and end with Ctrl-C.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Receiver, startReceiver } from '../notifier/testing/receiver.ts'
import { call, collect, removeFolder, root, temporaryFolder, until } from './processes.ts'

const folder = temporaryFolder()
// Below the ports that the system gives out by itself.
const shift = 1_000 + (process.pid % 200) * 100
let receiver: Receiver
let script: ChildProcess
let output: ReturnType<typeof collect>

function run(...args: string[]): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', join(root, 'scripts/cluster.ts'), ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

beforeAll(async () => {
  receiver = await startReceiver()
  script = run('--data', folder, '--shift', String(shift))
  output = collect(script)
  await Promise.race([
    until('the cluster is up', () => output.stdout().includes('Ctrl-C stops everything')),
    output.exit.then((exit) => Promise.reject(new Error(JSON.stringify(exit)))),
  ])
})

afterAll(async () => {
  script.kill('SIGKILL')
  await receiver.stop()
  removeFolder(folder)
})

test('what one server sells, the other lists, and a webhook learns through the queue', async () => {
  const [first, second] = [1, 2].map((id) => `http://127.0.0.1:${9080 + id + shift}`) as [string, string]
  const token = readFileSync(join(folder, 'server-1/operator.token'), 'utf8').trim()
  const endpoint = receiver.endpoint('ada')
  const buyer = await call(first, 'POST', '/buyers', {
    body: { name: 'Ada', interests: ['clocks'], endpoint },
  })
  expect(buyer.status).toBe(201)
  const auction = { title: 'A clock', tags: ['clocks'], openingBid: 100, durationMs: 600_000 }
  const { body } = await call(first, 'POST', '/auctions', { token, body: auction })
  expect(await call(second, 'GET', `/auctions/${String(body['id'])}`)).toMatchObject({ status: 200 })
  await receiver.until(() => receiver.received.length > 0)
  expect(receiver.received[0]?.body).toContain(String(body['id']))
})

test('SIGINT stops every process, and the output has named each with its pid', async () => {
  const lines = [...output.stdout().matchAll(/^ {2}([\w-]+) +\S+:\/\/\S+ +pid (\d+)/gm)]
  const pids = new Map(lines.map(([, name, pid]) => [name as string, Number(pid)]))
  expect([...pids.keys()]).toEqual([
    ...['node-1', 'node-2', 'node-3', 'monitor-1', 'monitor-2', 'server-1', 'server-2', 'notifier', 'queue'],
  ])
  for (const pid of pids.values()) expect(() => process.kill(pid, 0)).not.toThrow()
  script.kill('SIGINT')
  const exit = await output.exit
  expect(exit).toMatchObject({ code: 0 })
  for (const name of pids.keys()) if (name !== 'queue') expect(exit.stderr).toContain(`${name} ended (0)`)
  for (const pid of pids.values()) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
})

test('a wrong option is exit code 2 with the help', async () => {
  const exit = await collect(run('--shift', 'far')).exit
  expect(exit).toMatchObject({ code: 2, stdout: '' })
  expect(exit.stderr).toMatch(/--shift takes a number.*\n\nUsage:/)
})
