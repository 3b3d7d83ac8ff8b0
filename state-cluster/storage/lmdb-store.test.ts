import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
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
  it('the event loop turns while a commit is being written', async () => {
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

  it('STORE4: a view that outlives its store reads nothing more, and is closed without harm', async () => {
    const folder = await makeFolder()
    const store = openLmdbStore(folder)
    await store.commit([{ key: Uint8Array.of(1), value: Uint8Array.of(1) }])
    const view = store.view()
    expect(view.get(Uint8Array.of(1))).toEqual(Uint8Array.of(1))
    await store.close()
    expect(() => view.get(Uint8Array.of(1))).toThrow(expect.objectContaining({ code: 'closed' }))
    expect(() => view.range({ from: Uint8Array.of(0), to: Uint8Array.of(2) })).toThrow()
    view.close()
    await rm(folder, { recursive: true })
  })

  it('STORE4: before the disk is full it stops: the commit and all later ones are refused, what was there stays', async () => {
    const folder = await makeFolder()
    let freeBytes = 40 * 2 ** 20
    const space = { diskSpace: () => ({ freeBytes, totalBytes: 2 ** 30 }) }
    const store = openLmdbStore(folder, space)
    await store.commit([{ key: Uint8Array.of(1), value: Uint8Array.of(1) }])
    freeBytes = 16 * 2 ** 20
    const refused = store.commit([{ key: Uint8Array.of(2), value: new Uint8Array(100) }])
    await expect(refused).rejects.toMatchObject({ code: 'disk_full', retryable: false })
    await expect(refused).rejects.toThrow('free some space')
    freeBytes = 40 * 2 ** 20
    await expect(store.commit([])).rejects.toMatchObject({ code: 'disk_full' })
    expect(() => store.get(Uint8Array.of(1))).toThrow('free some space')
    await store.close()
    const again = openLmdbStore(folder, space)
    expect([...again.range({ from: Uint8Array.of(0), to: Uint8Array.of(9) })].length).toBe(1)
    await again.close()
    freeBytes = 2 ** 20
    expect(() => openLmdbStore(folder, space)).toThrow(expect.objectContaining({ code: 'disk_full' }))
    await rm(folder, { recursive: true })
  })

  it('STORE4: a commit that does not end in 30 seconds ends the store', async () => {
    const folder = await makeFolder()
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const store = openLmdbStore(folder)
    try {
      // An idle minute counts for nothing, and a commit that ended does not count for the next.
      vi.advanceTimersByTime(60_000)
      await store.commit([{ key: Uint8Array.of(2), value: Uint8Array.of(2) }])
      const commit = store.commit([{ key: Uint8Array.of(1), value: Uint8Array.of(1) }])
      await Promise.resolve()
      vi.advanceTimersByTime(30_000)
      expect(store.stats().backlog).toBe(1)
      vi.advanceTimersByTime(1_000)
      await expect(commit).rejects.toMatchObject({ code: 'disk_stalled' })
      await expect(store.commit([])).rejects.toMatchObject({ code: 'disk_stalled' })
    } finally {
      vi.useRealTimers()
    }
    await store.close()
    await rm(folder, { recursive: true })
  })

  it('STORE4: a write that fails in the kernel ends the store', async () => {
    const folder = await makeFolder()
    const program = `
      import { openLmdbStore } from ${JSON.stringify(new URL('./lmdb-store.ts', import.meta.url).href)}
      const store = openLmdbStore(${JSON.stringify(folder)})
      for (let n = 0; ; n++) {
        try {
          await store.commit([{ key: Uint8Array.of(n >> 8, n & 255), value: new Uint8Array(3000) }])
          process.stdout.write('committed ' + n + '\\n')
        } catch (error) {
          const later = await store.commit([]).catch((reason) => reason.code)
          process.stdout.write(error.name + ' ' + error.code + ' ' + later + '\\n')
          // The library has overrun a buffer by now: an orderly exit would run its destructors, and may crash.
          process.kill(process.pid, 'SIGKILL')
          await new Promise(() => undefined)
        }
      }`
    // The kernel refuses to let a file grow beyond the limit (in blocks of 512 bytes), as it would a full disk.
    const command = `trap '' XFSZ; ulimit -f 1024; exec "$@"`
    const args = [
      '-c',
      command,
      'sh',
      process.execPath,
      '--import',
      'tsx',
      '--input-type=module',
      '-e',
      program,
    ]
    const text = await new Promise<string>((resolve) => {
      const child = spawn('sh', args, { stdio: ['ignore', 'pipe', 'ignore'] })
      let text = ''
      child.stdout.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      child.on('close', () => resolve(text))
    })
    expect(text).toMatch(/StoreError disk_full disk_full\n$/)
    const store = openLmdbStore(folder)
    const rows = [...store.range({ from: Uint8Array.of(0), to: Uint8Array.of(255) })]
    expect(rows.length).toBe(text.split('committed').length - 1)
    expect(rows.length).toBeGreaterThan(10)
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
