/**
 * Looks at a data file before LMDB maps it. One that is cut short or damaged would end the process by a signal.
 *
 *     <data>/state/data.mdb   the file        <data>/state.made   there once a commit was durable
 *
 *     page      | number 8 | txn 8 | 2 | flags 2 | lower 2 | upper 2 | offsets of nodes …  free  … nodes |
 *     meta page | header 24 | magic 4 | version 4 | 16 | free tree 48 | main tree 48 | last page 8 | txn 8 |
 *     tree      | page size or 2 × 2 | flags 2 | depth 2 | 32 | root 8 |
 *     node      | low 2 | high 2 | flags 2 | key length 2 | key | value, or page 8, txn 8, count 8 |
 *
 * Left to others: what the values mean, and their checksums (layout.ts). Invariant: nothing is written to the file;
 * every page that a tree names lies within it, or the file is refused. Source: liblmdb mdb.c; docs/spec.md STORE19.
 */
import { closeSync, existsSync, fstatSync, fsyncSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { StoreError, type StoreErrorCode } from './store.ts'

const headerBytes = 24
const nodeBytes = 8
const treeBytes = 48
const metaBytes = 160
const metaMagic = 0xbeefc0de
const dataVersion = 2
const noPage = 2n ** 64n - 1n
const pageFlags = { branch: 1, leaf: 2, meta: 8 } as const
const kindMask = 0x0f
const bigValue = 1
const depthMax = 32
/** Leaf pages that are read, 1 GiB of them; of the others, only that they lie within the file. */
const leavesReadMax = 262_144

interface Tree {
  readonly depth: number
  /** Undefined: the tree is empty. */
  readonly root: number | undefined
}

interface Meta {
  readonly pageBytes: number
  readonly lastPage: number
  readonly transaction: bigint
  readonly trees: readonly [free: Tree, main: Tree]
}

/** Why a file is refused; caught here. */
class Damage extends Error {}

const markerOf = (folder: string): string => `${folder}.made`

/** Whether a commit was ever durable in this folder. */
export function isMade(folder: string): boolean {
  return existsSync(markerOf(folder))
}

/** From now on the folder must have its data. Durable when it returns; throws the system's error. */
export function markMade(folder: string): void {
  const file = openSync(markerOf(folder), 'w', 0o600)
  try {
    const text = `The folder ${basename(folder)} has data. Where it is missing or empty, it was lost.\n`
    writeSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  const parent = openSync(dirname(folder), 'r')
  try {
    fsyncSync(parent)
  } finally {
    closeSync(parent)
  }
}

/** The folder may be made anew. */
export function forgetMade(folder: string): void {
  rmSync(markerOf(folder), { force: true })
}

/**
 * Throws StoreError `data_lost` where the data of a folder that had some is gone, `data_damaged` where its file
 * cannot be mapped without danger, or the system's error. The answer is whether there is data.
 */
export function checkDataFile(folder: string): boolean {
  const path = join(folder, 'data.mdb')
  const file = openIfThere(path)
  try {
    const size = file === undefined ? 0 : fstatSync(file).size
    if (file === undefined || size === 0) {
      if (isMade(folder)) throw refusal('data_lost', path, file === undefined ? 'is missing' : 'is empty')
      return false
    }
    const pages = new Pages(file, size)
    const hasData = pages.check()
    if (!hasData && isMade(folder)) throw refusal('data_lost', path, 'holds nothing any more')
    return hasData
  } catch (error) {
    if (error instanceof Damage) throw refusal('data_damaged', path, error.message)
    throw error
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function refusal(code: StoreErrorCode, path: string, how: string): StoreError {
  const folder = dirname(path)
  const what =
    'put the file back, or restore a backup into another folder (`martillo state restore`); to begin anew without what it held, remove'
  return new StoreError(code, `${path} ${how}: ${what} ${markerOf(folder)} and ${folder}`)
}

class Pages {
  readonly #file: number
  readonly #size: number
  #buffer = Buffer.alloc(0)
  #leavesRead = 0
  #visited = 0

  constructor(file: number, size: number) {
    this.#file = file
    this.#size = size
  }

  /** Whether there is any data. Throws Damage. */
  check(): boolean {
    const meta = this.#meta()
    for (const tree of meta.trees) this.#walk(meta, tree)
    return meta.trees[1].root !== undefined
  }

  /** The newer of the two, as LMDB takes it. */
  #meta(): Meta {
    const first = this.#metaAt(0)
    const second = this.#metaAt(first.pageBytes)
    const meta = first.transaction >= second.transaction ? first : second
    const { pageBytes, lastPage, trees } = meta
    if (pageBytes !== first.pageBytes) throw new Damage('has two page sizes')
    for (const { root, depth } of trees) {
      if (root !== undefined && (root < 2 || root > lastPage || depth < 1 || depth > depthMax)) {
        throw new Damage('has a first page that names no tree')
      }
    }
    return meta
  }

  #metaAt(offset: number): Meta {
    const bytes = this.#read(offset, metaBytes)
    const magic = bytes.readUInt32LE(headerBytes)
    const version = bytes.readUInt32LE(headerBytes + 4) & 0xffff
    const isMeta = (bytes.readUInt16LE(18) & pageFlags.meta) !== 0
    if (!isMeta || magic !== metaMagic || version !== dataVersion) {
      throw new Damage(`has no description at its ${offset === 0 ? 'beginning' : 'second page'}`)
    }
    const treesAt = headerBytes + 24
    const pageBytes = bytes.readUInt32LE(treesAt)
    const isPageSize = pageBytes >= 512 && pageBytes <= 65_536 && (pageBytes & (pageBytes - 1)) === 0
    if (!isPageSize) throw new Damage(`says that its pages have ${pageBytes} bytes`)
    const tree = (at: number): Tree => {
      const root = bytes.readBigUInt64LE(at + 40)
      return { depth: bytes.readUInt16LE(at + 6), root: root === noPage ? undefined : Number(root) }
    }
    return {
      pageBytes,
      lastPage: Number(bytes.readBigUInt64LE(treesAt + 2 * treeBytes)),
      transaction: bytes.readBigUInt64LE(treesAt + 2 * treeBytes + 8),
      trees: [tree(treesAt), tree(treesAt + treeBytes)],
    }
  }

  /** Into the one buffer: good until the next read. */
  #read(offset: number, length: number): Buffer {
    if (this.#buffer.length !== length) this.#buffer = Buffer.alloc(length)
    if (readSync(this.#file, this.#buffer, 0, length, offset) !== length) throw new Damage('is cut short')
    return this.#buffer
  }

  #walk(meta: Meta, { root, depth }: Tree): void {
    if (root === undefined) return
    const ahead = [{ page: root, level: 1 }]
    for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
      const { page, level } = next
      this.#hold(meta, page, 1)
      if (level === depth && ++this.#leavesRead > leavesReadMax) continue
      const bytes = this.#read(page * meta.pageBytes, meta.pageBytes)
      const kind = bytes.readUInt16LE(18) & kindMask
      const expected = level === depth ? pageFlags.leaf : pageFlags.branch
      if (bytes.readUInt32LE(0) + bytes.readUInt32LE(4) * 2 ** 32 !== page || kind !== expected) {
        throw new Damage(`is damaged at page ${page}`)
      }
      const upper = checkHead(bytes, page)
      for (let offset = 0; offset < bytes.readUInt16LE(20); offset += 2) {
        const at = nodeAt(bytes, { page, offset, upper })
        if (level < depth) ahead.push({ page: childOf(bytes, at), level: level + 1 })
        else this.#checkLeaf(meta, bytes, { page, at })
      }
    }
  }

  /** So many pages from this one on are of the tree: they lie within the file. */
  #hold({ lastPage, pageBytes }: Meta, page: number, count: number): void {
    this.#visited += count
    if (page < 2 || count < 1 || page + count - 1 > lastPage || this.#visited > lastPage) {
      throw new Damage('has pages that name others which cannot be')
    }
    if ((page + count) * pageBytes > this.#size) {
      throw new Damage(`is cut short: it has ${this.#size} bytes, and needs page ${page + count - 1}`)
    }
  }

  #checkLeaf(meta: Meta, bytes: Buffer, { page, at }: { readonly page: number; readonly at: number }): void {
    const valueBytes = bytes.readUInt32LE(at)
    const isBig = (bytes.readUInt16LE(at + 4) & bigValue) !== 0
    const valueAt = at + nodeBytes + bytes.readUInt16LE(at + 6)
    if (valueAt + (isBig ? headerBytes : valueBytes) > bytes.length) {
      throw new Damage(`is damaged at page ${page}`)
    }
    if (!isBig) return
    const count = Number(bytes.readBigUInt64LE(valueAt + 16))
    this.#hold(meta, Number(bytes.readBigUInt64LE(valueAt)), count)
    if (headerBytes + valueBytes > count * meta.pageBytes) throw new Damage(`is damaged at page ${page}`)
  }
}

/** Where the nodes of a page begin: none before. */
function checkHead(bytes: Buffer, page: number): number {
  const lower = bytes.readUInt16LE(20)
  const upper = bytes.readUInt16LE(22)
  const isPlausible = lower > 0 && lower <= upper && lower % 2 === 0 && headerBytes + upper <= bytes.length
  if (!isPlausible) throw new Damage(`is damaged at page ${page}`)
  return upper
}

interface Place {
  readonly page: number
  /** Of the node's offset, among those of its page. */
  readonly offset: number
  readonly upper: number
}

/** Where a node begins; it has its key within the page. */
function nodeAt(bytes: Buffer, { page, offset, upper }: Place): number {
  const node = bytes.readUInt16LE(headerBytes + offset)
  const at = headerBytes + node
  const isWithin = node >= upper && at + nodeBytes <= bytes.length
  if (!isWithin || at + nodeBytes + bytes.readUInt16LE(at + 6) > bytes.length) {
    throw new Damage(`is damaged at page ${page}`)
  }
  return at
}

function childOf(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt16LE(at + 4) * 2 ** 32
}
