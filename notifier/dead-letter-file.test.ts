import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { deadLetterFile } from './dead-letter-file.ts'
import { outgoingMessage } from './message.ts'
import { bidNotification } from './testing/messages.ts'

const folder = mkdtempSync(join(tmpdir(), 'martillo-dead-'))
afterAll(() => rmSync(folder, { recursive: true }))

const linesOf = (path: string) =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

it('NOTE9 dead letters of a house without a queue are lines of a file, each whole', async () => {
  const path = join(folder, 'dead.jsonl')
  const write = deadLetterFile(path, () => 5)
  const messages = [1, 2, 3].map((at) => outgoingMessage(bidNotification(at, 'ana', 'http://a')))
  await Promise.all(messages.map((message) => write(message, 'no answer')))
  expect(linesOf(path)).toEqual(
    messages.map(({ body }) => ({
      at: 5,
      reason: 'no answer',
      recipient: 'ana',
      endpoint: 'http://a',
      body,
    })),
  )
  expect(statSync(path).mode & 0o777).toBe(0o600)
})

it('NOTE9 the file is bounded: the full one becomes the older one', async () => {
  const path = join(folder, 'bounded.jsonl')
  const write = deadLetterFile(path, () => 5, 1_000)
  for (let at = 1; at <= 7; at += 1) await write(outgoingMessage(bidNotification(at, 'ana')), 'no answer')
  const kept = [...linesOf(`${path}.1`), ...linesOf(path)].map(({ body }) => JSON.parse(body).id)
  expect(statSync(path).size).toBeLessThanOrEqual(1_000)
  expect(kept.at(-1)).toBe('0-7-ana')
  expect(kept.length).toBeLessThan(7)
})

it('NOTE9 a file that cannot be written is an error, once', async () => {
  const write = deadLetterFile(join(folder, 'missing', 'dead.jsonl'), () => 5)
  await expect(write(outgoingMessage(bidNotification(1, 'ana')), 'x')).rejects.toThrow('ENOENT')
  await expect(write(outgoingMessage(bidNotification(2, 'ana')), 'x')).rejects.toThrow('ENOENT')
})
