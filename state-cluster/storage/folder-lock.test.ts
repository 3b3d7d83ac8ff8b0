import { type ChildProcess, spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FolderLock, lockFolder } from './folder-lock.ts'

const holderProgram = `
  import { lockFolder } from ${JSON.stringify(new URL('./folder-lock.ts', import.meta.url).href)}
  const [folder, useSocket] = process.argv.slice(1)
  try {
    const lock = await lockFolder(folder, { nowMs: 1_800_000_000_000, useSocket: useSocket === 'true' })
    console.log('held')
    process.on('SIGTERM', () => lock.release().then(() => process.exit(0)))
    setInterval(() => {}, 1_000)
  } catch (error) {
    console.log('refused ' + error.code + ' ' + error.message)
  }`

let folder: string
let children: ChildProcess[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'martillo-lock-'))
})

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  children = []
  await rm(folder, { recursive: true })
})

/** Starts a process that takes the folder; resolves with it and the first line that it prints. */
function start(where: string, useSocket: boolean): Promise<{ child: ChildProcess; line: string }> {
  const args = ['--import', 'tsx', '--input-type=module', '-e', holderProgram, where, String(useSocket)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.stdout.once('data', (chunk: Buffer) => resolve({ child, line: chunk.toString().trim() }))
  })
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.once('exit', () => resolve()))
}

const options = (useSocket: boolean) => ({ nowMs: 1_800_000_000_000, useSocket })

for (const useSocket of [true, false]) {
  const how = useSocket ? 'by its socket' : 'by process id and start time'

  describe(`folder lock, holder known ${how}`, () => {
    it('LOCK1: a second process is refused and learns who holds the folder', async () => {
      const { child, line } = await start(folder, useSocket)
      expect(line).toBe('held')
      const refusal = lockFolder(folder, options(useSocket))
      await expect(refusal).rejects.toMatchObject({ code: 'folder_in_use', retryable: false })
      await expect(refusal).rejects.toThrow(`in use by process ${child.pid} on `)
      await expect(refusal).rejects.toThrow('choose another folder')
    })

    it('LOCK1: a process that is only paused still holds it', async () => {
      const { child } = await start(folder, useSocket)
      child.kill('SIGSTOP')
      await expect(lockFolder(folder, options(useSocket))).rejects.toMatchObject({ code: 'folder_in_use' })
    })

    it('LOCK2: a lock whose holder was killed blocks nobody, and leaves nothing behind', async () => {
      for (let round = 0; round < 3; round++) {
        const { child, line } = await start(folder, useSocket)
        expect(line).toBe('held')
        const gone = ended(child)
        child.kill('SIGKILL')
        await gone
      }
      const lock = await lockFolder(folder, options(useSocket))
      expect((await readdir(folder)).filter((name) => /^lock\.\d+$/.test(name))).toEqual(['lock.4'])
      expect((await readdir(folder)).length).toBe(useSocket ? 2 : 1)
      await lock.release()
    })

    it('LOCK3: of processes that start at once, one wins', async () => {
      const dead = await start(folder, useSocket)
      const gone = ended(dead.child)
      dead.child.kill('SIGKILL')
      await gone
      const outcomes = await Promise.all(Array.from({ length: 4 }, () => start(folder, useSocket)))
      const held = outcomes.filter(({ line }) => line === 'held')
      expect(outcomes.map(({ line }) => line.split(' ').slice(0, 2).join(' ')).sort()).toEqual([
        'held',
        'refused folder_in_use',
        'refused folder_in_use',
        'refused folder_in_use',
      ])
      for (const { line } of outcomes.filter((outcome) => !held.includes(outcome))) {
        expect(line).toContain(`process ${held[0]?.child.pid} `)
      }
    })
  })
}

describe('folder lock', () => {
  it('LOCK1: the same process does not get it twice; released, it is free', async () => {
    for (const useSocket of [true, false]) {
      const lock = await lockFolder(folder, options(useSocket))
      await expect(lockFolder(folder, options(useSocket))).rejects.toMatchObject({ code: 'folder_in_use' })
      await lock.release()
      const again = await lockFolder(folder, options(useSocket))
      await again.release()
    }
  })

  it('LOCK3: attempts of one process at once: one wins, over and over', async () => {
    for (let round = 0; round < 10; round++) {
      const results = await Promise.allSettled(
        Array.from({ length: 8 }, () => lockFolder(folder, options(true))),
      )
      const won = results.filter((result) => result.status === 'fulfilled')
      expect(won.length).toBe(1)
      await won[0]?.value.release()
    }
  })

  it('LOCK3: one that was slow does not take a number that others have left behind', async () => {
    let winner: FolderLock | undefined
    const slow = lockFolder(folder, {
      ...options(true),
      async beforeTaking() {
        if (winner !== undefined) return
        const between = await lockFolder(folder, options(true))
        await between.release()
        winner = await lockFolder(folder, options(true))
      },
    })
    await expect(slow).rejects.toMatchObject({ code: 'folder_in_use' })
    expect((await readdir(folder)).filter((name) => /^lock\.\d+$/.test(name))).toEqual(['lock.2'])
    await winner?.release()
  })

  it('LOCK2: a lock file that a power cut left empty blocks nobody', async () => {
    await writeFile(join(folder, 'lock.7'), '')
    const lock = await lockFolder(folder, options(true))
    expect(await readdir(folder)).toContain('lock.8')
    await lock.release()
  })

  it('LOCK1: works in folders whose path is longer than a socket may have', async () => {
    const deep = join(folder, 'x'.repeat(60), 'y'.repeat(60), 'z'.repeat(60))
    const { line } = await start(deep, true)
    expect(line).toBe('held')
    await expect(lockFolder(deep, options(true))).rejects.toMatchObject({ code: 'folder_in_use' })
    expect((await readdir(deep)).filter((name) => name.endsWith('.sock')).length).toBe(1)
  })

  it('LOCK4: a folder that cannot be written is one clear error', async () => {
    const file = join(folder, 'file')
    await writeFile(file, '')
    await expect(lockFolder(join(file, 'data'), options(true))).rejects.toMatchObject({
      code: 'disk_read_only',
    })
    // A file system that makes no folders at all, and on which `mkdir -p` of Node never ends.
    if (process.platform === 'linux') {
      await expect(lockFolder('/proc/martillo/data', options(true))).rejects.toMatchObject({
        code: 'disk_read_only',
      })
    }
    if (process.getuid?.() === 0) return
    const closed = join(folder, 'closed')
    await mkdir(closed)
    await chmod(closed, 0o500)
    await expect(lockFolder(closed, options(true))).rejects.toMatchObject({ code: 'disk_read_only' })
  })
})
