#!/usr/bin/env node
/**
 * `martillo`: the one command.
 * Client verbs come from clients/cli, the verbs of the roles from roles/. No other file of the process reads the
 * environment, handles signals or exits.
 * Invariant: the exit code is one of the contract (0 done, 1 refused or failed, 2 wrong usage, 3 no house answers),
 * or 128 and the signal's number when a signal comes before there is anything to stop, or twice.
 * Source: docs/protocol.md, "Command line".
 */
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { exitCodes, run } from './clients/cli/index.ts'
import { registerRoleVerbs, roleNames, type Shell } from './roles/index.ts'

// Its warning about Node versions is for those who update dependencies, not for those who run a sale.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true'

const argv = process.argv.slice(2)
const stopping = new AbortController()
/** Whether a signal is left to the verb. A role that still starts has nothing to stop: the signal ends it at once. */
let stopsItself = !(roleNames as readonly string[]).includes(argv[0] ?? '')

const shell: Shell = {
  io: { stdout: process.stdout, stderr: process.stderr, env: process.env, signal: stopping.signal },
  serving() {
    stopsItself = true
  },
  exit: (code) => process.exit(code),
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (stopping.signal.aborted || !stopsItself) process.exit(128 + constants.signals[signal])
    stopping.abort()
  })
}
// A reader that stopped reading (`| head`) is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.done)
  throw error
})

/** The package is above the compiled `main.js`, and beside this file when it runs from source. */
function versionOfPackage(): string {
  const path = import.meta.url.endsWith('.ts') ? './package.json' : '../package.json'
  const read = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { version: string }
  return read.version
}

process.exit(await run(argv, shell.io, versionOfPackage(), (program) => registerRoleVerbs(program, shell)))
