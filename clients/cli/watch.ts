/**
 * `martillo watch`: prints an auction's events until it has ended.
 * Invariant: every event is printed once and in order, through lost connections; where the house could not replay
 * some, a line says so.
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
      .option('--as <name>', 'watch as this bidder of yours: be notified when you are outbid'),
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
      const onWatch = (event: WatchEvent): void => {
        if (event.type === 'refused') {
          reject(new CliFailure(exitCodes.refused, `refused: ${event.message}`, { code: event.code }))
          return
        }
        view = event.auction
        if (event.type === 'event') printEvent(target, event, io)
        else printSnapshot(target, event, session.serverNowMs(), io)
        if (isEnded(event.auction)) resolve()
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
  event: Extract<WatchEvent, { type: 'snapshot' }>,
  nowMs: number,
  io: Io,
): void {
  if (target.isJson) {
    printJson(io, { type: 'snapshot', missed: event.missed, auction: event.auction })
    return
  }
  if (event.missed) printLine(io, 'some events were missed; the auction is now:')
  printLine(io, auctionText(event.auction, nowMs))
}

function printEvent(target: Target, event: Extract<WatchEvent, { type: 'event' }>, io: Io): void {
  if (target.isJson) printJson(io, event.event)
  else printLine(io, eventText(event.event, event.auction.currency))
}

/** Reports that the connection is lost and that it is back, not each attempt between. */
function noteStates(target: Target, io: Io): (state: SessionState) => void {
  let former: SessionState['name'] | undefined
  return ({ name, reason }) => {
    if (name === 'reconnecting' && name !== former)
      note(io, `lost the house (${reason.replaceAll('_', ' ')}); trying again at ${target.url}`)
    else if (name === 'open') note(io, `connected to ${target.url}`)
    former = name
  }
}
