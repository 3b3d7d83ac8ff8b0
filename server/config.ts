/**
 * The server's settings: addresses, tokens, limits. Invariant: each limit has a value from the start, so that
 * nothing at the edge is unbounded; combinations that would starve each other are refused with the reason.
 * The engine behind it is `runtime/config.ts`. Source: docs/design.md, "bounded"; spec RATE, FLOW.
 */
import { BlockList, isIP } from 'node:net'
import { isId } from '../protocol/ids.ts'
import { tokenTtlSecondsMax } from '../protocol/limits.ts'
import { type ConfigOf, configSection } from '../runtime/config.ts'

export const serverSection = configSection(
  'server',
  {
    host: { kind: 'text', default: '127.0.0.1', doc: 'Address to listen on' },
    port: {
      kind: 'integer',
      min: 0,
      max: 65_535,
      default: 8080,
      doc: 'Port to listen on; 0 picks a free one',
    },
    dataDir: { kind: 'text', default: './data', doc: 'Folder of everything that must survive a restart' },
    serverId: {
      kind: 'text',
      default: 'server-1',
      doc: 'Name of this server in the cluster; no two running servers share one',
      fault: (value) => (isId(value) ? undefined : 'must be 1 to 128 characters of A-Z a-z 0-9 . _ : @ -'),
    },

    jwtSecret: {
      kind: 'text',
      secret: true,
      doc: 'Key that signs tokens, base64url of at least 32 bytes; absent: made at first start and kept in the data folder',
      fault: (value) =>
        Buffer.from(value, 'base64url').length >= 32 ? undefined : 'must be base64url of at least 32 bytes',
    },
    tokenAudience: { kind: 'text', default: 'martillo', doc: 'The `aud` that tokens must carry' },
    tokenIssuer: { kind: 'text', doc: 'The `iss` that tokens of the outside authority must carry' },
    jwksUrl: {
      kind: 'text',
      doc: "Address of the outside authority's published keys (JWKS)",
      fault: urlFault,
    },
    jwksFile: { kind: 'text', doc: "File of the outside authority's published keys (JWKS)" },
    tokenToleranceSeconds: {
      kind: 'integer',
      min: 0,
      max: 300,
      default: 5,
      doc: 'How far clocks may differ when the expiry of a token is checked',
    },
    tokenTtlSeconds: {
      kind: 'integer',
      min: 60,
      max: tokenTtlSecondsMax,
      default: tokenTtlSecondsMax,
      doc: 'How long a token lives that registration gives to a buyer',
    },
    tokensCachedMax: {
      kind: 'integer',
      min: 1,
      max: 1_000_000,
      default: 20_000,
      doc: 'How many verified tokens are remembered',
    },
    registrationOpen: { kind: 'boolean', default: true, doc: 'Whether anyone may register as a buyer' },
    defaultCurrency: {
      kind: 'text',
      default: 'USD',
      doc: 'Currency of auctions that name none (ISO 4217)',
      fault: (value) => (/^[A-Z]{3}$/.test(value) ? undefined : 'must be three capital letters'),
    },

    trustedProxies: {
      kind: 'list',
      default: [],
      doc: 'Addresses or networks of proxies whose X-Forwarded-For is believed',
      fault: networkFault,
    },
    operatorNetworks: {
      kind: 'list',
      default: ['127.0.0.0/8', '::1/128'],
      doc: 'Addresses or networks that may read /metrics without an operator token',
      fault: networkFault,
    },
    corsOrigins: {
      kind: 'list',
      default: ['*'],
      doc: 'Origins whose pages may use the API from a browser; * for all (there are no cookies)',
    },

    socketsMax: {
      kind: 'integer',
      min: 1,
      max: 1_000_000,
      default: 50_000,
      doc: 'WebSockets of this server',
    },
    socketsPerAddressMax: {
      kind: 'integer',
      min: 1,
      max: 1_000_000,
      default: 20_000,
      doc: 'WebSockets of one address without a token or of one bidder',
    },
    subscriptionsPerSocketMax: {
      kind: 'integer',
      min: 1,
      max: 100_000,
      default: 10_000,
      doc: 'Auctions that one socket may watch',
    },
    subscriptionsMax: {
      kind: 'integer',
      min: 1,
      max: 100_000_000,
      default: 1_000_000,
      doc: 'Auctions watched by all sockets of this server together',
    },
    commandsPerSocketMax: {
      kind: 'integer',
      min: 1,
      max: 100_000,
      default: 2000,
      doc: 'Bids of one socket that wait for their answer',
    },
    requestsMax: {
      kind: 'integer',
      min: 1,
      max: 1_000_000,
      default: 20_000,
      doc: 'HTTP requests of this server that wait for their answer',
    },
    framesPerSecond: {
      kind: 'integer',
      min: 1,
      max: 1_000_000,
      default: 2000,
      doc: 'Frames of one socket, steadily',
    },
    framesBurst: {
      kind: 'integer',
      min: 1,
      max: 1_000_000,
      default: 20_000,
      doc: 'Frames of one socket, at once',
    },
    bidsPerSecond: {
      kind: 'integer',
      min: 1,
      max: 1_000_000,
      default: 1000,
      doc: 'Bids of one bidder, steadily',
    },
    bidsBurst: { kind: 'integer', min: 1, max: 1_000_000, default: 2000, doc: 'Bids of one bidder, at once' },
    requestsPerSecond: {
      kind: 'integer',
      min: 1,
      max: 1_000_000,
      default: 10_000,
      doc: 'HTTP requests and new sockets of one address (of one subject, with a token), steadily',
    },
    requestsBurst: {
      kind: 'integer',
      min: 1,
      max: 1_000_000,
      default: 20_000,
      doc: 'HTTP requests and new sockets of one address (of one subject, with a token), at once',
    },
    registrationsPerSecond: {
      kind: 'integer',
      min: 1,
      max: 1_000_000,
      default: 200,
      doc: 'Buyers registered from one address, steadily',
    },
    registrationsBurst: {
      kind: 'integer',
      min: 1,
      max: 1_000_000,
      default: 20_000,
      doc: 'Buyers registered from one address, at once',
    },
    ratedKeysMax: {
      kind: 'integer',
      min: 100,
      max: 10_000_000,
      default: 100_000,
      doc: 'Addresses and bidders whose rates are remembered, of each kind',
    },

    bodyTimeoutMs: {
      kind: 'integer',
      min: 100,
      max: 600_000,
      default: 10_000,
      doc: 'Time for the body of a request to arrive',
    },
    bufferedBytesMax: {
      kind: 'integer',
      min: 4096,
      max: 64 * 1024 * 1024,
      default: 64 * 1024,
      doc: 'Unread bytes of a socket beyond which it gets the latest price instead of every price',
    },
    queuedBytesMax: {
      kind: 'integer',
      min: 4096,
      max: 64 * 1024 * 1024,
      default: 512 * 1024,
      doc: 'Bytes of answers and private frames kept for a socket that does not read; beyond, it is closed (4413)',
    },
    unreadMsMax: {
      kind: 'integer',
      min: 100,
      max: 600_000,
      default: 30_000,
      doc: 'How long a socket with unread bytes may read nothing before it is closed (4413)',
    },
    heartbeatMs: {
      kind: 'integer',
      min: 100,
      max: 300_000,
      default: 15_000,
      doc: 'Silence after which a socket is pinged; twice as long, and it is closed (4408)',
    },
    drainGraceMs: {
      kind: 'integer',
      min: 0,
      max: 600_000,
      default: 5000,
      doc: 'Time between the drain frame and the close of all sockets when the server stops',
    },

    publishWindow: {
      kind: 'integer',
      min: 1,
      max: 100_000,
      default: 1000,
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

function urlFault(value: string): string | undefined {
  return /^https?:\/\//.test(value) && URL.canParse(value) ? undefined : 'must be an http or https address'
}

interface Network {
  readonly address: string
  readonly bits: number
  readonly family: 'ipv4' | 'ipv6'
}

/** `10.0.0.0/8`, `::1/128`, `192.0.2.7`. */
function readNetwork(text: string): Network | undefined {
  const [address = '', bitsText, ...rest] = text.split('/')
  const version = isIP(address)
  if (version === 0 || rest.length > 0) return undefined
  const bitsMax = version === 4 ? 32 : 128
  if (bitsText !== undefined && !/^\d{1,3}$/.test(bitsText)) return undefined
  const bits = bitsText === undefined ? bitsMax : Number(bitsText)
  return bits <= bitsMax ? { address, bits, family: version === 4 ? 'ipv4' : 'ipv6' } : undefined
}

function networkFault(text: string): string | undefined {
  return readNetwork(text) === undefined
    ? 'must be addresses or networks such as 10.0.0.0/8 or ::1'
    : undefined
}

/** Addresses of any of the networks. */
export function networks(texts: readonly string[]): BlockList {
  const list = new BlockList()
  for (const text of texts) {
    const network = readNetwork(text)
    if (network !== undefined) list.addSubnet(network.address, network.bits, network.family)
  }
  return list
}
