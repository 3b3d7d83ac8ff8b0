/**
 * Runs verbs in this process and keeps their output, for tests.
 * Invariant: a verb gets streams, environment and signal from here alone; nothing of the test's process.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../run.ts'

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** A verb that runs. */
export interface Running {
  readonly ended: Promise<Ran>
  stdout(): string
  stderr(): string
  /** As Ctrl-C does. */
  interrupt(): void
}

export function startVerb(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
  let stdout = ''
  let stderr = ''
  const stopping = new AbortController()
  const io = {
    stdout: { write: (text: string) => (stdout += text) },
    stderr: { write: (text: string) => (stderr += text) },
    env,
    signal: stopping.signal,
  }
  return {
    ended: run(argv, io, '1.2.3').then((code) => ({ code, stdout, stderr })),
    stdout: () => stdout,
    stderr: () => stderr,
    interrupt: () => stopping.abort(),
  }
}

export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'martillo-cli-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** Waits for something to become true, however long a loaded machine needs. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 6000; tries += 1) {
    if (holds()) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`waited in vain: ${what}`)
}
