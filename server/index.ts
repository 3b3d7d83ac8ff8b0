/**
 * The only door of the server, as a process or as a role.
 *
 * Reading the environment, signals and exits are left to `main.ts`. Invariant: once `startServer` resolves, the port
 * is open and every part runs; once `close` resolves, no part runs and the port is free; a start that fails leaves
 * nothing running. Source: docs/design.md, "Processes".
 */
export { SecretFileError } from './access/secrets.ts'
export { ListenError } from './carrier/socket.ts'
export { EdgeUnavailableError } from './carrier/uws.ts'
export { type ServerConfig, serverSection } from './config.ts'
export type { NotificationSink } from './duties/publisher.ts'
export { type RunningServer, type ServerLoad, type ServerOptions, startServer } from './server.ts'
