/**
 * `martillo house …`: the settings and features of the whole house.
 * Invariant: the output is the answer of the house after the change; groups that differ are named, with the command
 * that makes them equal.
 */
import type { Command } from 'commander'
import type { HouseBody, HouseSettings } from '../../protocol/http-bodies.ts'
import type { IncrementBand } from '../../protocol/money.ts'
import { amountText } from '../core/index.ts'
import { collect } from './buyer.ts'
import { usageFailure } from './failure.ts'
import { type Io, note, printJson, printLine } from './io.ts'
import { Target, type TargetOptions, withTargetOptions } from './target.ts'
import { facts, plain } from './text.ts'
import { readDuration, readIncrements, readMoment } from './values.ts'

interface ConfigureOptions extends TargetOptions {
  readonly outageMinimum?: string
  readonly outageThreshold?: string
  readonly increments?: readonly string[]
  readonly upgrade?: true
}

interface ShiftOptions extends TargetOptions {
  readonly to: string
}

export function registerHouseVerbs(program: Command, io: Io): void {
  const verb = program.command('house').description('see and set what holds for the whole house')
  withTargetOptions(verb.command('show').description('settings, and features that are on or off'))
    .addHelpText('after', '\nExample:\n  $ martillo house show --json')
    .action(async (options: TargetOptions) => {
      const target = new Target(options, io)
      const token = await target.requireManagingToken()
      print(target, await target.http(token).house(), io)
    })
  withTargetOptions(
    verb
      .command('configure')
      .description('change settings; those not named stay')
      .option(
        '--outage-minimum <duration>',
        'an auction that an outage hit is extended by at least this, as 5s',
      )
      .option('--outage-threshold <duration>', 'a silence of a server longer than this is an outage, as 2s')
      .option(
        '--increments <currency=table>',
        'increments of new auctions that bring none, as JPY=0:100,10000:500, or JPY=default; may be given several times',
        collect,
      )
      .option('--upgrade', 'switch on, permanently, all features that this version brings'),
  )
    .addHelpText(
      'after',
      [
        '',
        'Before --upgrade all nodes must run the new version: one that meets a feature that it does not know stops.',
        'The house refuses it while a connected node is older; a node that is down it cannot ask.',
        'There is no way back to an older version afterwards.',
        '',
        'Example:',
        '  $ martillo house configure --outage-minimum 10s',
      ].join('\n'),
    )
    .action((options: ConfigureOptions) => configure(new Target(options, io), options, io))
  withTargetOptions(
    verb
      .command('shift-clock')
      .description('set the time by which the house opens and closes, where it is far from true time')
      .requiredOption(
        '--to <moment>',
        'now (by the clock of this machine), or a date as 2026-12-01T18:00:00Z',
      ),
  )
    .addHelpText(
      'after',
      [
        '',
        'Open auctions keep the time that they have left; scheduled ones keep their moment. Set the clocks of all nodes',
        'right first. The time of a house on several nodes comes back by itself where it is off by less than minutes.',
        '',
        'Example:',
        '  $ martillo house shift-clock --to now',
      ].join('\n'),
    )
    .action((options: ShiftOptions) => shiftClock(new Target(options, io), options.to, io))
}

async function shiftClock(target: Target, moment: string, io: Io): Promise<void> {
  const nowMs = Date.now()
  const to = moment === 'now' ? nowMs : readMoment(moment, moment.startsWith('+') ? nowMs : 0)
  const token = await target.requireManagingToken()
  print(target, await target.http(token).shiftClock({ to }), io)
}

async function configure(target: Target, options: ConfigureOptions, io: Io): Promise<void> {
  const { outageMinimum, outageThreshold, increments, upgrade } = options
  const wanted = {
    ...(outageMinimum === undefined ? {} : { outageExtensionMinMs: readDuration(outageMinimum) }),
    ...(outageThreshold === undefined ? {} : { outageThresholdMs: readDuration(outageThreshold) }),
    ...(increments === undefined ? {} : { increments: Object.fromEntries(increments.map(readHouseTable)) }),
    ...(upgrade === undefined ? {} : { features: 'all' as const }),
  }
  if (Object.keys(wanted).length === 0)
    throw usageFailure(
      'nothing to change (give --outage-minimum, --outage-threshold, --increments or --upgrade)',
    )
  const token = await target.requireManagingToken()
  print(target, await target.http(token).configureHouse(wanted), io)
}

/** `JPY=0:100,10000:500`, or `JPY=default`. */
function readHouseTable(text: string): [string, IncrementBand[] | null] {
  const [, currency, table] = /^([A-Z]{3})=(.+)$/.exec(text) ?? []
  if (currency === undefined || table === undefined)
    throw usageFailure(`not the increments of a currency: ${text} (write it as JPY=0:100,10000:500)`)
  return [currency, table === 'default' ? null : readIncrements(table, currency)]
}

function print(target: Target, body: HouseBody, io: Io): void {
  if (body.groups !== undefined)
    note(io, 'martillo: groups of the house differ; repeat martillo house configure with all you want')
  if (target.isJson) {
    printJson(io, body)
    return
  }
  printLine(
    io,
    facts([
      ...settingFacts(body.settings),
      ['features on', names(body.features)],
      ['features off', names(body.featuresOff)],
    ]),
  )
  for (const { group, settings, features } of body.groups ?? [])
    printLine(io, `\ngroup ${group}\n${facts([...settingFacts(settings), ['features on', names(features)]])}`)
}

function settingFacts({ outageExtensionMinMs, outageThresholdMs, increments = {} }: HouseSettings) {
  const tables = Object.entries(increments).map(([currency, table]) => {
    const bands = table.map(({ from, step }) => `${amountText(from, currency)}:${amountText(step, currency)}`)
    return [`increments ${currency}`, bands.join(',')] as const
  })
  return [
    ['outage minimum', exact(outageExtensionMinMs)] as const,
    ['outage threshold', exact(outageThresholdMs)] as const,
    ...tables,
  ]
}

/** As a person would type it. */
const exact = (ms: number): string => (ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`)

const names = (features: readonly string[]): string =>
  features.length === 0 ? 'none' : features.map(plain).join(', ')
