import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Random } from '../../runtime/random.ts'
import { checkDataFile, isMade } from './data-file.ts'
import { openLmdbStore } from './lmdb-store.ts'
import type { StoreWrite } from './store.ts'

const root = mkdtempSync(join(tmpdir(), 'martillo-data-file-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const made = join(root, 'made')
let copies = 0

/** Random writes and removals, small values and large, some of both in one commit. */
function randomWrites(random: Random): StoreWrite[] {
  const keyOf = (): Uint8Array =>
    Buffer.from(`key ${random.below(2_000)}`.padStart(8 + random.below(60), '0'))
  const writes = Array.from({ length: 1 + random.below(60) }, (): StoreWrite => {
    const value = Buffer.alloc(random.chance(0.1) ? random.below(40_000) : random.below(400))
    return { key: keyOf(), value: random.chance(0.4) ? undefined : value }
  })
  const passing = Buffer.from(`passing ${random.below(1_000)}`)
  return random.chance(0.3)
    ? [...writes, { key: passing, value: Buffer.alloc(20_000) }, { key: passing, value: undefined }]
    : writes
}

beforeAll(async () => {
  const random = new Random(1)
  const store = openLmdbStore(join(made, 'state'))
  for (let at = 0; at < 120; at++) await store.commit(randomWrites(random))
  await store.close()
})

/** A copy of the store, changed by the test. */
function copy(change: (file: string) => void = () => undefined): string {
  const folder = join(root, `copy-${++copies}`)
  cpSync(made, folder, { recursive: true })
  change(join(folder, 'state/data.mdb'))
  return join(folder, 'state')
}

const refused = (code: string) => expect.objectContaining({ name: 'StoreError', code })

function overwrite(file: string, at: number, bytes: Uint8Array): void {
  const content = readFileSync(file)
  content.set(bytes, at)
  writeFileSync(file, content)
}

describe('a data file', () => {
  it('STORE19: a folder that had a commit says so, and is not begun anew where its file is missing or empty', () => {
    const kinds: readonly [string, (file: string) => void][] = [
      ['missing', (file) => rmSync(file)],
      ['no folder', (file) => rmSync(join(file, '..'), { recursive: true })],
      ['emptied', (file) => truncateSync(file, 0)],
    ]
    for (const [kind, change] of kinds) {
      const folder = copy(change)
      expect(isMade(folder)).toBe(true)
      expect(() => openLmdbStore(folder), kind).toThrow(refused('data_lost'))
      const file = join(folder, 'data.mdb')
      expect(statSync(file, { throwIfNoEntry: false })?.size ?? 0, 'nothing was made in its place').toBe(0)
    }
  })

  it('STORE19: a file that another empty one replaced is noticed; a folder that was never written is new', async () => {
    const empty = join(root, 'empty/state')
    const store = openLmdbStore(empty)
    expect(isMade(empty)).toBe(false)
    await store.close()
    const folder = copy((file) => cpSync(join(empty, 'data.mdb'), file))
    expect(() => openLmdbStore(folder)).toThrow(refused('data_lost'))
    const again = openLmdbStore(empty)
    await again.commit([{ key: Buffer.from('a'), value: Buffer.from('b') }])
    expect(isMade(empty)).toBe(true)
    await again.close()
  })

  it('STORE19: a folder that came without its marker gets it when it is opened', async () => {
    const folder = copy()
    rmSync(`${folder}.made`)
    await openLmdbStore(folder).close()
    expect(existsSync(`${folder}.made`)).toBe(true)
  })

  it('STORE20: whatever LMDB wrote is accepted, also a file that is shorter than its last page number says', async () => {
    const folder = join(root, 'checked/state')
    const random = new Random(7)
    const store = openLmdbStore(folder)
    let shorter = 0
    for (let at = 0; at < 250; at++) {
      await store.commit(randomWrites(random))
      expect(checkDataFile(folder)).toBe(true)
      const bytes = readFileSync(join(folder, 'data.mdb'))
      const pageBytes = bytes.readUInt32LE(48)
      const newer = bytes.readBigUInt64LE(152) >= bytes.readBigUInt64LE(pageBytes + 152) ? 0 : pageBytes
      const lastPage = Number(bytes.readBigUInt64LE(newer + 144))
      if (bytes.length < (lastPage + 1) * pageBytes) shorter++
    }
    expect(shorter, 'such files occur, and length alone proves nothing').toBeGreaterThan(0)
    await store.close()
  })

  it('STORE20: a file cut short anywhere is refused before it is mapped, whatever its length', () => {
    const { size } = statSync(join(made, 'state/data.mdb'))
    const random = new Random(3)
    const lengths = [
      1,
      100,
      4_095,
      4_096,
      8_191,
      8_192,
      12_288,
      ...Array.from({ length: 40 }, () => random.below(size / 2)),
    ]
    for (const length of lengths) {
      const folder = copy((file) => truncateSync(file, length))
      expect(() => checkDataFile(folder), `${length} bytes`).toThrow(refused('data_damaged'))
      expect(() => openLmdbStore(folder), `${length} bytes`).toThrow(refused('data_damaged'))
      rmSync(join(folder, '..'), { recursive: true })
    }
  })

  it('STORE20: foreign bytes at the beginning are refused, and the message says what to do', () => {
    for (const [at, length] of [
      [0, 8_192],
      [0, 64],
      [24, 4],
      [28, 4],
      [48, 4],
    ] as const) {
      const folder = copy((file) => overwrite(file, at, Buffer.alloc(length, 0xa5)))
      expect(() => openLmdbStore(folder), `${length} bytes at ${at}`).toThrow(refused('data_damaged'))
      expect(() => openLmdbStore(folder)).toThrow(
        /data\.mdb (has|is|says) .*restore a backup.*remove .*state\.made/,
      )
    }
    const text = copy((file) => writeFileSync(file, 'not a data file\n'.repeat(2_000)))
    expect(() => openLmdbStore(text)).toThrow(refused('data_damaged'))
  })

  it('STORE20: foreign bytes in pages of the tree end no process by a signal: they are refused, or harmless', () => {
    const random = new Random(11)
    const { size } = statSync(join(made, 'state/data.mdb'))
    const folders = Array.from({ length: 60 }, () =>
      copy((file) => {
        const at = 8_192 + random.below(size - 8_192 - 4_096)
        const garbage = Uint8Array.from({ length: 1 + random.below(4_096) }, () => random.below(256))
        overwrite(file, at, garbage)
      }),
    )
    const script = `
      import { openLmdbStore } from ${JSON.stringify(new URL('./lmdb-store.ts', import.meta.url).href)}
      for (const folder of JSON.parse(process.argv[1])) {
        try {
          const store = openLmdbStore(folder)
          let bytes = 0
          for (const { value } of store.range({ from: Buffer.from([0]), to: Buffer.from([255]) })) bytes += value.length
          await store.close()
          console.log('opened', bytes)
        } catch (error) {
          console.log(error.code)
        }
      }`
    const args = ['--import', 'tsx', '--input-type=module', '-e', script, JSON.stringify(folders)]
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' })
    const lines = stdout.trim().split('\n')
    expect(lines).toHaveLength(folders.length)
    expect(lines.filter((line) => line === 'data_damaged').length).toBeGreaterThan(5)
    expect(lines.filter((line) => !/^(opened \d+|data_damaged|corrupt)$/.test(line))).toEqual([])
  })
})
