import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openLmdbStore } from './lmdb-store.ts'
import { storeContract } from './store-contract.ts'

const makeFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'martillo-store-'))

storeContract('LMDB', async () => {
  const folder = await makeFolder()
  let store = openLmdbStore(folder)
  return {
    store,
    async reopen() {
      await store.close()
      store = openLmdbStore(folder)
      return store
    },
    async release() {
      await store.close()
      await rm(folder, { recursive: true })
    },
  }
})

describe('LMDB', () => {
  it('the event loop turns while a commit is on its way to the disk', async () => {
    const folder = await makeFolder()
    const store = openLmdbStore(folder)
    const value = new Uint8Array(64 * 1024)
    let turns = 0
    let done = false
    const commit = store
      .commit(Array.from({ length: 100 }, (_, i) => ({ key: Uint8Array.of(i), value })))
      .then(() => {
        done = true
      })
    while (!done) {
      turns += 1
      await new Promise((resolve) => setImmediate(resolve))
    }
    await commit
    expect(turns).toBeGreaterThan(10)
    await store.close()
    await rm(folder, { recursive: true })
  })

  it('a folder that cannot be one is refused with its code', async () => {
    const folder = await makeFolder()
    const file = join(folder, 'file')
    await writeFile(file, 'not a folder')
    expect(() => openLmdbStore(file)).toThrow(expect.objectContaining({ code: 'disk_read_only' }))
    expect(() => openLmdbStore(join(file, 'below'))).toThrow(
      expect.objectContaining({ code: 'disk_read_only' }),
    )
    await rm(folder, { recursive: true })
  })

  it('STORE1: a kill -9 loses nothing that was committed, and leaves no part of a commit', async () => {
    const folder = await makeFolder()
    const program = `
      import { openLmdbStore } from ${JSON.stringify(new URL('./lmdb-store.ts', import.meta.url).href)}
      const store = openLmdbStore(${JSON.stringify(folder)})
      const number = (n) => Uint8Array.of(n >>> 24, n >>> 16, n >>> 8, n)
      for (let n = 1; ; n++) {
        await store.commit([{ key: Uint8Array.of(1), value: number(n) }, { key: Uint8Array.of(2), value: number(n) }])
        process.stdout.write(n + '\\n')
      }`
    for (let round = 0; round < 3; round++) {
      const acknowledged = await runAndKill(program, 20 + round * 13)
      const store = openLmdbStore(folder)
      const read = (key: number): number => Buffer.from(store.get(Uint8Array.of(key)) ?? []).readUInt32BE(0)
      expect(read(1)).toBe(read(2))
      expect(acknowledged).toBeGreaterThanOrEqual(1)
      expect(read(1)).toBeGreaterThanOrEqual(acknowledged)
      await store.commit([
        { key: Uint8Array.of(1), value: Uint8Array.of(0, 0, 0, 0) },
        { key: Uint8Array.of(2), value: Uint8Array.of(0, 0, 0, 0) },
      ])
      await store.close()
    }
    await rm(folder, { recursive: true })
  })
})

/** Runs a program that counts on its standard output, kills it at `count`; gives the last count it printed. */
function runAndKill(program: string, count: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = execFile(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program])
    let printed = 0
    let text = ''
    child.stdout?.on('data', (chunk: string) => {
      text += chunk
      printed = Number(text.slice(0, text.lastIndexOf('\n')).split('\n').at(-1))
      if (printed >= count) child.kill('SIGKILL')
    })
    child.stderr?.on('data', (chunk: string) => {
      if (!chunk.includes('Warning')) reject(new Error(chunk))
    })
    child.on('exit', () => resolve(printed))
  })
}
