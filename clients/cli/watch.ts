/**
 * `martillo watch`: an auction's events as they happen, through lost connections, until it has ended. Invariant:
 * every event is printed once and in order; where the house could not replay some, a line says so.
 */
import type { Command } from 'commander'
import type { AuctionView } from '../../protocol/auction-view.ts'
import { formatAmount, isEnded, type SessionState, type WatchEvent } from '../core/index.ts'
import { CliFailure, exitCodes } from './failure.ts'
import { type Io, note, printJson, printLine } from './io.ts'
import { Target, type TargetOptions, withTargetOptions } from './target.ts'
import { auctionText, eventText } from './text.ts'
import { readAuctionId } from './values.ts'

interface WatchOptions extends TargetOptions {
  readonly as?: string
}

export function registerWatchVerb(program: Command, io: Io): void {
  withTargetOptions(
    program
      .command('watch')
      .description('follow an auction until it ends')
      .argument('<id>', 'id of the auction')
      .option('--as <name>', 'watch as this bidder of yours: be told when you are outbid'),
  )
    .addHelpText('after', '\nExample:\n  $ martillo watch ID --json')
    .action((id: string, options: WatchOptions) => watch(new Target(options, io), id, options, io))
}

async function watch(target: Target, id: string, options: WatchOptions, io: Io): Promise<void> {
  const auctionId = readAuctionId(id)
  const token = options.as === undefined ? target.givenToken : (await target.bidder(options.as)).token
  const session = target.session(token)
  const money = (view: AuctionView | undefined, amount: number): string =>
    view === undefined ? String(amount) : formatAmount(amount, view.currency)
  let view: AuctionView | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      const onWatch = (told: WatchEvent): void => {
        if (told.type === 'refused') {
          reject(new CliFailure(exitCodes.refused, `refused: ${told.message}`, { code: told.code }))
          return
        }
        view = told.auction
        if (told.type === 'event') printEvent(target, told, io)
        else printSnapshot(target, told, session.serverNowMs(), io)
        if (isEnded(told.auction)) resolve()
      }
      session.on('state', noteStates(target, io))
      session.on('private', (frame) => {
        if (frame.auctionId !== auctionId) return
        if (target.isJson) printJson(io, frame)
        else printLine(io, `you: ${frame.type} at ${money(view, frame.price)}`)
      })
      session.watch(auctionId, onWatch)
      session
        .opened()
        .then(
          () => session.on('state', (state) => state.name === 'closed' && session.opened().catch(reject)),
          reject,
        )
      io.signal.addEventListener('abort', () => resolve(), { once: true })
    })
  } finally {
    session.close()
  }
}

function printSnapshot(
  target: Target,
  told: Extract<WatchEvent, { type: 'snapshot' }>,
  nowMs: number,
  io: Io,
): void {
  if (target.isJson) {
    printJson(io, { type: 'snapshot', missed: told.missed, auction: told.auction })
    return
  }
  if (told.missed) printLine(io, 'some events were missed; this is how it stands now:')
  printLine(io, auctionText(told.auction, nowMs))
}

function printEvent(target: Target, told: Extract<WatchEvent, { type: 'event' }>, io: Io): void {
  if (target.isJson) printJson(io, told.event)
  else printLine(io, eventText(told.event, told.auction.currency))
}

/** Says when the connection is lost and when it is back, not each attempt between. */
function noteStates(target: Target, io: Io): (state: SessionState) => void {
  let former: SessionState['name'] | undefined
  return ({ name, reason }) => {
    if (name === 'reconnecting' && name !== former)
      note(io, `lost the house (${reason.replaceAll('_', ' ')}); trying again at ${target.url}`)
    else if (name === 'open') note(io, `connected to ${target.url}`)
    former = name
  }
}
