/**
 * A foreign client: Debian's python3-websockets, which is not ours, acts as a bidder over the JSON
 * subprotocol (tests/python_client.py). Left out, and said so, where python3-websockets is not installed.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type House, hasTool, removeFolder, root, startHouse, temporaryFolder } from './processes.ts'

const python = '/usr/bin/python3'
const here = hasTool('python3-websockets', python, ['-c', 'import websockets'])
const dataDir = temporaryFolder()
let house: House | undefined

beforeAll(async () => {
  house = await startHouse({ dataDir })
})
afterAll(async () => {
  await house?.stop()
  removeFolder(dataDir)
})

test.runIf(here)('python3-websockets subscribes, bids, is outbid and resumes without a gap', async () => {
  const child = spawn(python, [
    join(root, 'tests/python_client.py'),
    house?.url ?? '',
    join(dataDir, 'operator.token'),
  ])
  let output = ''
  let errors = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  const code = await new Promise((resolve) => child.on('close', resolve))
  expect(errors).toBe('')
  expect(code).toBe(0)
  expect(JSON.parse(output)).toMatchObject({ ok: true, bids: 3 })
})

test.runIf(!here)(
  'left out: python3-websockets is not installed (apt-get install python3-websockets)',
  () => {
    expect(here).toBe(false)
  },
)
