/**
 * A data file is cut short, emptied, deleted or overwritten while the house is down.
 *
 * Invariant: each start ends with a line that says what to do, never by a signal, and makes nothing in place of what
 * was lost. Source: spec STORE19, STORE20.
 */
import { cpSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { martillo, removeFolder, startHouse, temporaryFolder } from '../processes.ts'
import type { Attack } from './attack.ts'

const faults: readonly (readonly [string, (file: string) => void])[] = [
  ['deleted', (file) => rmSync(file)],
  ['deleted with its folder', (file) => rmSync(join(file, '..'), { recursive: true })],
  ['emptied', (file) => truncateSync(file, 0)],
  ['cut to a half', (file) => truncateSync(file, statSync(file).size >> 1)],
  ['cut to a page', (file) => truncateSync(file, 4_096)],
  ['overwritten at its beginning', (file) => garble(file, 0, 8_192)],
  ['overwritten after it', (file) => garble(file, 8_192, statSync(file).size)],
]

function garble(file: string, from: number, to: number): void {
  const bytes = readFileSync(file)
  bytes.fill(0xa5, from, to)
  writeFileSync(file, bytes)
}

export const attack: Attack = {
  point: 2,
  title: 'a data file cut short, emptied, deleted or overwritten',
  async run(scene) {
    const whole = temporaryFolder()
    scene.onEnd(() => removeFolder(whole))
    const house = await startHouse({ dataDir: whole })
    await house.stop()
    for (const [what, make] of faults) {
      const dataDir = temporaryFolder()
      scene.onEnd(() => removeFolder(dataDir))
      cpSync(whole, dataDir, { recursive: true })
      make(join(dataDir, 'state/data.mdb'))
      const ended = await martillo(['start', '--port', '0', '--data', dataDir])
      const { code, signal, stderr } = ended
      const says = /data\.mdb (is|has) .*restore a backup/.test(stderr)
      scene.holds(`with the file ${what} the start ends in words (${signal ?? code})`, code === 1 && says)
    }
    scene.fact('faults', faults.length)
  },
}
