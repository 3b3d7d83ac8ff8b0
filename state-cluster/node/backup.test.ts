import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { restoreBackup } from './backup.ts'

let dataDir: string
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'martillo-backup-'))
})
afterEach(() => rm(dataDir, { recursive: true }))

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

const restore = (text: string) =>
  restoreBackup(bytesOf(text), { dataDir, nodeId: 1, clusterId: 'new', members: new Map(), nowMs: 0 })

describe('restoring', () => {
  it('STORE17: a backup in another format is refused, and says which is read', async () => {
    await expect(restore('martillo backup 2\n')).rejects.toMatchObject({
      code: 'foreign_data',
      message: 'the backup has format 2, this version reads 1: use the version that wrote it',
    })
  })

  it('BACKUP2: other bytes than a backup, or a part of one, are refused', async () => {
    await expect(restore('something else, of any length')).rejects.toMatchObject({ code: 'corrupt' })
    await expect(restore('martillo backup 1\n')).rejects.toMatchObject({ code: 'corrupt' })
  })
})
