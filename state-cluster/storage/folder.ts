/**
 * Makes a folder for data, with the folders above it.
 *
 * It replaces `mkdir` with `recursive`, which never returns where a file system answers ENOENT for a folder that it
 * will not make (`/proc/x`; Node 20 to 24). Invariant: it ends with a folder that exists, or with an error.
 */
import { mkdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** Throws the system's error, `ENOTDIR` where a file is in the way. New folders are for this user alone. */
export function makeFolder(folder: string): void {
  const path = resolve(folder)
  if (tryMake(path)) return
  const parent = dirname(path)
  if (parent !== path) makeFolder(parent)
  mkdirSync(path, { mode: 0o700 })
}

/** Whether the folder is there now; false where the one above it is missing. */
function tryMake(path: string): boolean {
  try {
    mkdirSync(path, { mode: 0o700 })
    return true
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === 'ENOENT') return false
    // A parent that may not be written (EACCES, EROFS) is no hindrance where the folder is there already.
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return true
    if (code !== 'EEXIST') throw error
    throw Object.assign(new Error(`${path} is not a folder`), { code: 'ENOTDIR' })
  }
}
