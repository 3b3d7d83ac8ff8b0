/**
 * The door of the command line, which `main.ts` runs with the process's streams.
 * Invariant: nothing here reads or ends the process. `main.ts` registers the verbs of the roles beside the clients'.
 */
export { CliFailure, type ExitCode, exitCodes } from './failure.ts'
export type { Io, Output } from './io.ts'
export { run } from './run.ts'
