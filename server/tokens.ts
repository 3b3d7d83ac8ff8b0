/**
 * Opens the tokens of a server from its settings and its data folder.
 *
 * Invariant: the key that signs is given, or kept in the data folder; the operator's token in that folder is always
 * one that this server accepts. Rejects with `SecretFileError`. Source: docs/spec.md AUTH.
 */
import { join } from 'node:path'
import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import { jwksFromFile, Tokens } from './access/auth.ts'
import { keepOperatorToken, keepSecret } from './access/secrets.ts'
import type { ServerConfig } from './config.ts'

export interface TokenOptions {
  readonly config: ServerConfig
  readonly clock: Clock
  readonly logger: Logger
}

export async function openTokens({ config, clock, logger }: TokenOptions): Promise<Tokens> {
  const secret =
    config.jwtSecret === undefined
      ? await keepSecret(join(config.dataDir, 'jwt.secret'), logger)
      : Buffer.from(config.jwtSecret, 'base64url')
  const jwks =
    config.jwksUrl === undefined
      ? config.jwksFile === undefined
        ? undefined
        : await jwksFromFile(config.jwksFile)
      : { url: config.jwksUrl }
  const tokens = new Tokens({
    secret,
    audience: config.tokenAudience,
    ...(jwks === undefined ? {} : { jwks }),
    ...(config.tokenIssuer === undefined ? {} : { issuer: config.tokenIssuer }),
    toleranceSeconds: config.tokenToleranceSeconds,
    cacheMax: config.tokensCachedMax,
    clock,
  })
  await keepOperatorToken(join(config.dataDir, 'operator.token'), tokens, clock.nowMs())
  return tokens
}
