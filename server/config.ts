/**
 * The server's settings: addresses, tokens, limits.
 *
 * Loading is left to `runtime/config.ts`. Invariant: each limit has a default, so that nothing in the server is
 * unbounded; limits that leave no room for each other are refused with the reason. Source: docs/spec.md CONFIG8, RATE,
 * FLOW.
 */
import { isId } from '../protocol/ids.ts'
import { tokenTtlSecondsMax } from '../protocol/limits.ts'
import {
  type ConfigOf,
  choice,
  configSection,
  flag,
  integer,
  isHttpUrl,
  list,
  text,
} from '../runtime/config.ts'
import { isNetwork } from '../runtime/networks.ts'

export const serverSection = configSection(
  'server',
  {
    host: { is: text().default('127.0.0.1'), doc: 'Address to listen on' },
    port: { is: integer(0, 65_535).default(8080), doc: 'Port to listen on; 0 picks a free one' },
    carrier: {
      env: 'MARTILLO_SERVER_CARRIER',
      is: choice(['auto', 'uws', 'node']).default('auto'),
      doc: 'What carries HTTP and WebSockets: uws (uWebSockets.js), node (node:http and ws), auto (uws where it loads)',
    },
    dataDir: { is: text().default('./data'), doc: 'Folder of everything that must survive a restart' },
    serverId: {
      is: text().refine(isId, 'must be 1 to 128 characters of A-Z a-z 0-9 . _ : @ -').default('server-1'),
      doc: 'Name of this server in the cluster; no two running servers share one',
    },

    jwtSecret: {
      is: text().refine(isKey, 'must be base64url of at least 32 bytes').optional(),
      secret: true,
      doc: 'Key that signs tokens, base64url of at least 32 bytes; absent: made at first start and kept in the data folder',
    },
    tokenAudience: { is: text().default('martillo'), doc: 'The `aud` that tokens must carry' },
    tokenIssuer: { is: text().optional(), doc: 'The `iss` that tokens of the outside authority must carry' },
    jwksUrl: {
      is: text().refine(isHttpUrl, 'must be an http or https address').optional(),
      doc: "Address of the outside authority's published keys (JWKS)",
    },
    jwksFile: { is: text().optional(), doc: "File of the outside authority's published keys (JWKS)" },
    tokenToleranceSeconds: {
      is: integer(0, 300).default(5),
      doc: 'How far clocks may differ when the expiry of a token is checked',
    },
    tokenTtlSeconds: {
      is: integer(60, tokenTtlSecondsMax).default(90 * 24 * 60 * 60),
      doc: 'How long a token lives that registration gives to a buyer; it can be renewed until then',
    },
    tokensCachedMax: {
      is: integer(1, 1_000_000).default(20_000),
      doc: 'How many verified tokens are remembered',
    },
    registrationOpen: { is: flag().default(true), doc: 'Whether anyone may register as a buyer' },
    defaultCurrency: {
      is: text().refine(isCurrency, 'must be three capital letters').default('USD'),
      doc: 'Currency of auctions that name none (ISO 4217)',
    },

    trustedProxies: {
      is: list(isNetwork, 'must be addresses or networks such as 10.0.0.0/8 or ::1').default([]),
      doc: 'Addresses or networks of proxies whose X-Forwarded-For is believed',
    },
    operatorNetworks: {
      is: list(isNetwork, 'must be addresses or networks such as 10.0.0.0/8 or ::1').default([
        '127.0.0.0/8',
        '::1/128',
      ]),
      doc: 'Addresses or networks that may read /metrics without an operator token',
    },
    corsOrigins: {
      is: list().default(['*']),
      doc: 'Origins whose pages may use the API from a browser; * for all (there are no cookies)',
    },

    socketsMax: { is: integer(1, 1_000_000).default(50_000), doc: 'WebSockets of this server' },
    socketsPerAddressMax: {
      is: integer(1, 1_000_000).default(20_000),
      doc: 'WebSockets of one address without a token or of one bidder',
    },
    subscriptionsPerSocketMax: {
      is: integer(1, 100_000).default(10_000),
      doc: 'Auctions that one socket may watch',
    },
    subscriptionsMax: {
      is: integer(1, 100_000_000).default(1_000_000),
      doc: 'Auctions watched by all sockets of this server together',
    },
    commandsPerSocketMax: {
      is: integer(1, 100_000).default(2000),
      doc: 'Bids of one socket that wait for their answer',
    },
    requestsMax: {
      is: integer(1, 1_000_000).default(20_000),
      doc: 'HTTP requests of this server that wait for their answer',
    },
    requestsPerAddressMax: {
      is: integer(1, 1_000_000).default(2000),
      doc: 'The same of one address (of one subject, with a token)',
    },
    heldBytesPerAddressMax: {
      is: integer(64 * 1024, 1024 * 1024 * 1024).default(16 * 1024 * 1024),
      doc: 'Bytes of bodies and of frames before the token is verified that are kept for one address (one subject)',
    },
    heldBytesMax: {
      is: integer(64 * 1024, 1024 * 1024 * 1024).default(256 * 1024 * 1024),
      doc: 'The same for all addresses together',
    },
    bytesPerSecond: {
      is: integer(1024, 1024 * 1024 * 1024).default(32 * 1024 * 1024),
      doc: 'Bytes of frames and bodies from one address (of one subject, with a token), steadily',
    },
    bytesBurst: {
      is: integer(64 * 1024, 1024 * 1024 * 1024).default(128 * 1024 * 1024),
      doc: 'Bytes of frames and bodies from one address (of one subject, with a token), at once',
    },
    framesPerSecond: { is: integer(1, 1_000_000).default(2000), doc: 'Frames of one socket, steadily' },
    framesBurst: { is: integer(1, 1_000_000).default(20_000), doc: 'Frames of one socket, at once' },
    bidsPerSecond: { is: integer(1, 1_000_000).default(1000), doc: 'Bids of one bidder, steadily' },
    bidsBurst: { is: integer(1, 1_000_000).default(2000), doc: 'Bids of one bidder, at once' },
    requestsPerSecond: {
      is: integer(1, 1_000_000).default(10_000),
      doc: 'HTTP requests and new sockets of one address (of one subject, with a token), steadily',
    },
    requestsBurst: {
      is: integer(1, 1_000_000).default(20_000),
      doc: 'HTTP requests and new sockets of one address (of one subject, with a token), at once',
    },
    registrationsPerSecond: {
      is: integer(1, 1_000_000).default(200),
      doc: 'Buyers registered from one address, steadily',
    },
    registrationsBurst: {
      is: integer(1, 1_000_000).default(20_000),
      doc: 'Buyers registered from one address, at once',
    },
    ratedKeysMax: {
      is: integer(100, 10_000_000).default(100_000),
      doc: 'Addresses and bidders whose rates are remembered, of each kind',
    },

    bodyTimeoutMs: {
      is: integer(100, 600_000).default(10_000),
      doc: 'Time for the body of a request to arrive, and on node:http for a message',
    },
    bufferedBytesMax: {
      is: integer(4096, 64 * 1024 * 1024).default(64 * 1024),
      doc: 'Unread bytes of a socket beyond which it gets the latest price instead of every price',
    },
    queuedBytesMax: {
      is: integer(4096, 64 * 1024 * 1024).default(512 * 1024),
      doc: 'Bytes of answers and private frames kept for a socket that does not read; beyond, it is closed (4413)',
    },
    unreadMsMax: {
      is: integer(100, 600_000).default(30_000),
      doc: 'How long a socket with unread bytes may read nothing before it is closed (4413)',
    },
    heartbeatMs: {
      is: integer(100, 300_000).default(15_000),
      doc: 'Silence after which a socket is pinged; twice as long, and it is closed (4408)',
    },
    drainGraceMs: {
      is: integer(0, 600_000).default(5000),
      doc: 'Time between the drain frame and the close of all sockets when the server stops',
    },

    publishWindow: {
      is: integer(1, 100_000).default(1000),
      doc: 'Notifications handed to the queue whose outcome is awaited',
    },
  },
  [
    {
      reason: 'jwksUrl and jwksFile both name the published keys; set one',
      holds: (config) => config.jwksUrl === undefined || config.jwksFile === undefined,
    },
    {
      reason: 'socketsPerAddressMax above socketsMax would never be reached; lower it',
      holds: (config) => config.socketsPerAddressMax <= config.socketsMax,
    },
    {
      reason: 'subscriptionsPerSocketMax above subscriptionsMax lets one socket take them all; lower it',
      holds: (config) => config.subscriptionsPerSocketMax <= config.subscriptionsMax,
    },
    {
      reason:
        'a burst below one second of its rate cuts the rate; raise framesBurst, bidsBurst, requestsBurst or registrationsBurst',
      holds: (config) =>
        config.framesBurst >= config.framesPerSecond &&
        config.bidsBurst >= config.bidsPerSecond &&
        config.requestsBurst >= config.requestsPerSecond &&
        config.registrationsBurst >= config.registrationsPerSecond,
    },
    {
      reason: 'queuedBytesMax below bufferedBytesMax would close sockets before they count as slow; raise it',
      holds: (config) => config.queuedBytesMax >= config.bufferedBytesMax,
    },
  ],
)

export type ServerConfig = ConfigOf<typeof serverSection.settings>

function isKey(value: string): boolean {
  return Buffer.from(value, 'base64url').length >= 32
}

function isCurrency(value: string): boolean {
  return /^[A-Z]{3}$/.test(value)
}
