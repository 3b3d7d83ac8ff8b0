/**
 * `martillo buyer add`, `token` and `revoke`: tokens to bid, sell and manage. Invariant: a token is printed once, to
 * standard output, and never to anything else.
 */
import type { Command } from 'commander'
import { isId, type SubjectId } from '../../protocol/ids.ts'
import { tokenTtlSecondsMax } from '../../protocol/limits.ts'
import { type Role, roles } from '../../protocol/server-frames.ts'
import { usageFailure } from './failure.ts'
import { type Io, printJson, printLine } from './io.ts'
import { Target, type TargetOptions, withTargetOptions } from './target.ts'
import { facts, momentText, plain } from './text.ts'
import { readDuration } from './values.ts'

/** For options that may be given several times. */
export function collect(value: string, list: readonly string[] = []): readonly string[] {
  return [...list, value]
}

interface AddOptions extends TargetOptions {
  readonly name: string
  readonly interest?: readonly string[]
  readonly endpoint?: string
}

interface TokenOptions extends TargetOptions {
  readonly role: readonly string[]
  readonly subject: string
  readonly ttl: string
}

export function registerBuyerVerbs(program: Command, io: Io): void {
  const buyer = program.command('buyer').description('register buyers')
  withTargetOptions(
    buyer
      .command('add')
      .description('register a buyer and print its token, with which it bids')
      .requiredOption('--name <name>', 'name of the buyer')
      .option('--interest <tag>', 'a tag to be notified of; may be given several times', collect)
      .option('--endpoint <url>', 'webhook for its notifications'),
  )
    .addHelpText(
      'after',
      '\nExample:\n  $ martillo buyer add --name Ada --interest clocks --endpoint https://ada.example/hook',
    )
    .action((options: AddOptions) => addBuyer(new Target(options, io), options, io))

  withTargetOptions(
    program
      .command('token')
      .description('have the operator issue a token')
      .requiredOption('--role <role>', `${roles.join(', ')}; may be given several times`, collect)
      .requiredOption('--subject <name>', 'the subject of the token')
      .option('--ttl <duration>', 'how long it is valid', '30d'),
  )
    .addHelpText('after', '\nExample:\n  $ martillo token --role seller --subject gallery-1 --ttl 7d')
    .action((options: TokenOptions) => issueToken(new Target(options, io), options, io))
  registerRevoke(program, io)
}

interface RevokeOptions extends TargetOptions {
  readonly subject?: string
  readonly all?: true
}

function registerRevoke(program: Command, io: Io): void {
  withTargetOptions(
    program
      .command('revoke')
      .description('have the operator revoke the tokens that a subject, or everybody, was issued until now')
      .option('--subject <name>', 'the subject of the tokens')
      .option('--all', "everybody's, the operator's included, which each server renews in its data folder"),
  )
    .addHelpText('after', '\nExample:\n  $ martillo revoke --subject gallery-1')
    .action((options: RevokeOptions) => revokeTokens(new Target(options, io), options, io))
}

async function revokeTokens(target: Target, options: RevokeOptions, io: Io): Promise<void> {
  const { subject, all } = options
  if ((subject === undefined) === (all === undefined)) throw usageFailure('give --subject or --all')
  if (subject !== undefined && !isId(subject))
    throw usageFailure(`not a subject: ${subject} (1 to 128 characters of A-Z a-z 0-9 . _ : @ -)`)
  const token = await target.requireManagingToken()
  const wanted = subject === undefined ? {} : { subject: subject as SubjectId }
  const revoked = await target.http(token).revokeTokens(wanted)
  if (target.isJson) printJson(io, revoked)
  else printLine(io, `revoked the tokens of ${subject ?? 'everybody'}`)
}

async function addBuyer(target: Target, options: AddOptions, io: Io): Promise<void> {
  const { name, interest, endpoint } = options
  const buyer = await target.http(target.managingToken).registerBuyer({
    name,
    interests: [...(interest ?? [])],
    ...(endpoint === undefined ? {} : { endpoint }),
  })
  if (target.isJson) {
    printJson(io, buyer)
    return
  }
  printLine(
    io,
    facts([
      ['buyer', buyer.id],
      ['name', plain(buyer.name)],
      ['interests', buyer.interests.length === 0 ? 'none' : buyer.interests.map(plain).join(', ')],
      ...(buyer.endpoint === undefined ? [] : [['endpoint', plain(buyer.endpoint)] as const]),
      ['token', buyer.token],
      ...(buyer.webhookSecret === undefined ? [] : [['webhook secret', buyer.webhookSecret] as const]),
    ]),
  )
  printLine(io, 'bid with it: martillo bid ID AMOUNT --token TOKEN')
}

async function issueToken(target: Target, options: TokenOptions, io: Io): Promise<void> {
  const wanted = options.role.map((role): Role => {
    const known = roles.find((name) => name === role)
    if (known === undefined) throw usageFailure(`not a role: ${role} (one of ${roles.join(', ')})`)
    return known
  })
  const { subject } = options
  if (!isId(subject))
    throw usageFailure(`not a subject: ${subject} (1 to 128 characters of A-Z a-z 0-9 . _ : @ -)`)
  const ttlSeconds = Math.ceil(readDuration(options.ttl) / 1000)
  if (ttlSeconds > tokenTtlSecondsMax) throw usageFailure(`too long a time: ${options.ttl} (at most 366d)`)
  const token = await target.requireManagingToken()
  const issued = await target
    .http(token)
    .issueToken({ subject: subject as SubjectId, roles: wanted, ttlSeconds })
  if (target.isJson) {
    printJson(io, issued)
    return
  }
  printLine(
    io,
    facts([
      ['subject', issued.subject],
      ['roles', issued.roles.join(', ')],
      ['valid until', momentText(issued.expiresAt)],
      ['token', issued.token],
    ]),
  )
}
