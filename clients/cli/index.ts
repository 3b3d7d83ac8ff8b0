/**
 * The door of the command line: `main.ts` runs it with the process's streams and registers the roles' verbs
 * beside the clients'. Nothing here reads or ends the process.
 */
export { CliFailure, type ExitCode, exitCodes } from './failure.ts'
export type { Io, Output } from './io.ts'
export { run } from './run.ts'
