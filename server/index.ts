/**
 * The server's door: one gateway process, or the server's role in the all-in-one.
 *
 * Invariant: once `startServer` resolves, the port is open and every part runs; once `close` resolves, none does and
 * the port is free; a start that fails leaves nothing running. Reading the environment, signals and exits are
 * `main.ts`'s. Source: docs/design.md, "Processes".
 */
export { SecretFileError } from './access/secrets.ts'
export { ListenError } from './carrier/socket.ts'
export { EdgeUnavailableError } from './carrier/uws.ts'
export { type ServerConfig, serverSection } from './config.ts'
export type { NotificationSink } from './duties/publisher.ts'
export { type RunningServer, type ServerLoad, type ServerOptions, startServer } from './server.ts'
