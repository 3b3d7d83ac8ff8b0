/**
 * The `martillo` command as a user meets it: exit codes, one clear line when something is wrong, and no stack
 * trace. Runs the built command against a real house.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  call,
  type Exit,
  freePort,
  type House,
  martillo,
  removeFolder,
  root,
  sharedFile,
  startHouse,
  temporaryFolder,
} from './processes.ts'

const dataDir = temporaryFolder()
let house: House

beforeAll(async () => {
  house = await startHouse({ dataDir })
})
afterAll(async () => {
  await house.stop()
  removeFolder(dataDir)
})

const client = (...args: string[]) => martillo([...args, '--url', house.url, '--data', dataDir])

function expectOneClearLine(exit: Exit, code: number, words: RegExp): void {
  expect(exit).toMatchObject({ code, signal: null })
  expect(exit.stderr).toMatch(words)
  expect(exit.stderr).not.toMatch(/^\s+at .*:\d+/m)
  expect(exit.stderr.trim().split('\n').length).toBeLessThanOrEqual(2)
}

describe('exit codes', () => {
  test('a bid on a closed auction exits 1 with the reason', async () => {
    const created = await client(
      'auction',
      'create',
      '--title',
      'Clock',
      '--opening',
      '10',
      '--duration',
      '1h',
      '--json',
    )
    expect(created.stderr).toBe('')
    expect(created.code).toBe(0)
    const { id } = JSON.parse(created.stdout.trim().split('\n').at(-1) as string) as { id: string }
    const accepted = await client('bid', id, '12.50')
    expect(accepted).toMatchObject({ code: 0 })
    expect((await client('auction', 'close', id)).code).toBe(0)
    const refused = await client('bid', id, '20')
    expectOneClearLine(refused, 1, /closed/)
  })

  test('no server is 3, and says what to do', async () => {
    const port = await freePort()
    const exit = await martillo(['bid', 'a1', '10', '--url', `http://127.0.0.1:${port}`, '--data', dataDir])
    expectOneClearLine(exit, 3, new RegExp(`127\\.0\\.0\\.1:${port}`))
  })

  test('a wrong option, verb or amount is 2', async () => {
    expectOneClearLine(await client('bid', 'a1', '10', '--exactly'), 2, /--exactly/)
    expectOneClearLine(await client('bud', 'a1', '10'), 2, /bud/)
    expectOneClearLine(await client('bid', 'a1', 'ten'), 2, /ten/)
    expectOneClearLine(await martillo(['start', '--port', '99999', '--data', dataDir]), 2, /port/)
  })

  test('--version prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    for (const flag of ['--version', '-V'])
      expect(await martillo([flag])).toMatchObject({ code: 0, stdout: `${version}\n` })
  })

  test('--help lists every verb of the contract', async () => {
    const { stdout, code } = await martillo(['--help'])
    expect(code).toBe(0)
    for (const verb of [
      'start',
      'notifier',
      'buyer',
      'auction',
      'watch',
      'bid',
      'rehearse',
      'check-config',
    ]) {
      expect(stdout).toMatch(new RegExp(`^\\s+${verb}\\b`, 'm'))
    }
  })
})

describe('starting', () => {
  test('a second start on the same data is one clear line and exit code 1', async () => {
    expectOneClearLine(
      await martillo(['start', '--port', '0', '--data', dataDir]),
      1,
      /in use|another|process/,
    )
    expect((await fetch(`${house.url}/up`)).status).toBe(200)
  })

  test('a busy port is one clear line and exit code 1', async () => {
    const other = temporaryFolder()
    const port = new URL(house.url).port
    expectOneClearLine(await martillo(['start', '--port', port, '--data', other]), 1, new RegExp(port))
    removeFolder(other)
  })

  test('a folder that cannot be made is one clear line and exit code 1', async () => {
    const other = temporaryFolder()
    const exit = await martillo(['start', '--port', '0', '--data', '/proc/martillo'])
    expectOneClearLine(exit, 1, /\/proc\/martillo/)
    if (process.getuid?.() !== 0) {
      const locked = join(other, 'locked')
      mkdirSync(locked)
      chmodSync(locked, 0o500)
      expectOneClearLine(await martillo(['start', '--port', '0', '--data', locked]), 1, /locked/)
      chmodSync(locked, 0o700)
    }
    removeFolder(other)
  })

  test('a misspelt variable is exit code 2 and names the right one', async () => {
    const exit = await martillo(['start', '--port', '0', '--data', dataDir], { MARTILLO_PROT: '1' })
    expectOneClearLine(exit, 2, /MARTILLO_PORT/)
  })

  test('check-config prints every setting and masks secrets', async () => {
    const { stdout, code } = await martillo(['check-config'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/MARTILLO_PORT/)
  })

  test('keys and tokens are readable by their owner alone', () => {
    for (const name of ['operator.token', 'jwt.secret', 'webhook.key']) {
      const path = join(dataDir, name)
      expect(existsSync(path), name).toBe(true)
      expect(statSync(path).mode & 0o777, name).toBe(0o600)
    }
  })

  test('SIGTERM drains: the house stops by itself with exit code 0', async () => {
    const other = temporaryFolder()
    const stopping = await startHouse({ dataDir: other })
    expect(await stopping.stop('SIGTERM')).toMatchObject({ code: 0, signal: null })
    const again = await startHouse({ dataDir: other })
    expect((await call(again.url, 'GET', '/readyz')).status).toBe(200)
    await again.stop()
    removeFolder(other)
  })
})

const recorded = sharedFile('data/ebay-auctions.csv')

test.runIf(recorded !== undefined)(
  'rehearses 305 recorded auctions: every winner, 294 prices, 11 hidden reserves',
  async () => {
    const { stdout, code } = await client('rehearse', recorded as string, '--json')
    const summary = JSON.parse(stdout.trim().split('\n').at(-1) as string)
    expect(summary).toMatchObject({ auctions: 305, winners: 305, prices: 294, hidden_reserve: 11 })
    expect(code).toBe(0)
  },
)

test.runIf(recorded === undefined)(
  'left out: ../shared/data/ebay-auctions.csv is not there to rehearse',
  () => {
    expect(recorded).toBeUndefined()
  },
)
