/**
 * The file of notifications that a house on one machine gave up.
 * It holds JSON lines that an operator can read and post again.
 * Invariant: at most two files of `fileBytesMax`; when the first is full it replaces the second. Each line is whole.
 * Source: docs/spec.md NOTE9.
 */
import { appendFile, rename, stat } from 'node:fs/promises'
import type { OutgoingMessage } from './queue.ts'

const fileBytesMax = 10_485_760

export type DeadLetterWriter = (message: OutgoingMessage, reason: string) => Promise<void>

/**
 * Appends a line for each message: `{at, reason, recipient, endpoint?, body}`, `at` in epoch ms, `body` the
 * CloudEvent as text. Rejects when the file cannot be written: the message has not ended then.
 */
export function deadLetterFile(path: string, nowMs: () => number, bytesMax = fileBytesMax): DeadLetterWriter {
  let last: Promise<void> = Promise.resolve()
  const append = async (text: string): Promise<void> => {
    const size = await stat(path).then(
      (file) => file.size,
      () => 0,
    )
    if (size > 0 && size + text.length > bytesMax) await rename(path, `${path}.1`)
    await appendFile(path, text, { mode: 0o600 })
  }
  return (message, reason) => {
    const { groupId: recipient, endpoint, body } = message
    const line = `${JSON.stringify({ at: nowMs(), reason, recipient, endpoint, body })}\n`
    // One after the other, so that two never rename at once.
    const done = last.then(() => append(line))
    last = done.catch(() => undefined)
    return done
  }
}
