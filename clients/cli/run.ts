/**
 * Parses the command line, runs one verb and turns failures into exit codes.
 * Invariant: `run` resolves to 0, 1, 2 or 3 and never ends the process; it rejects only with an unforeseen error. The
 * verbs of the roles (start, server, …) are registered by `main.ts` beside these. Source: docs/protocol.md, "Command
 * line".
 */
import { Command, CommanderError } from 'commander'
import { registerAuctionVerbs } from './auction.ts'
import { registerBidVerbs } from './bid.ts'
import { registerBuyerVerbs } from './buyer.ts'
import { exitCodes, failureOf, usageFailure } from './failure.ts'
import { type Io, note, printJson } from './io.ts'
import { registerHouseVerbs } from './operator.ts'
import { registerRehearseVerb } from './rehearse.ts'
import { registerWatchVerb } from './watch.ts'

/** Adds every client verb to a program. */
function registerClientVerbs(program: Command, io: Io): void {
  program.commandsGroup('Clients of a house:')
  registerAuctionVerbs(program, io)
  registerBidVerbs(program, io)
  registerWatchVerb(program, io)
  registerBuyerVerbs(program, io)
  registerHouseVerbs(program, io)
  registerRehearseVerb(program, io)
}

/** Commander's words for a wrong command, on one line. */
function usageText(text: string): string {
  const words = text.trim().split('\n').join(' ')
  return `${words}\n`
}

/** Makes commander write to `io` and throw instead of ending the process; holds for all verbs below. */
function adopt(command: Command, io: Io): void {
  command
    .exitOverride()
    .helpCommand(false)
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      outputError: (text, write) => write(usageText(text)),
    })
  for (const verb of command.commands) adopt(verb, io)
}

/**
 * Runs `martillo ARGV`; `argv` begins after the script. `version` is printed by `--version`; `registerMore` adds
 * further verbs to the program, whose actions also fail by throwing `CliFailure`.
 */
export async function run(
  argv: readonly string[],
  io: Io,
  version: string,
  registerMore: (program: Command) => void = () => {},
): Promise<number> {
  const program = new Command('martillo').description('A real-time auction house.').version(version)
  registerMore(program)
  registerClientVerbs(program, io)
  program.addHelpText(
    'after',
    [
      '',
      'Exit codes: 0 done, 1 refused by the house, 2 wrong usage, 3 no house answers.',
      'Try:',
      '  $ martillo start',
      '  $ martillo auction create --title "A ship\'s clock" --opening 10',
      '  $ martillo bid ID 12.50',
    ].join('\n'),
  )
  adopt(program, io)
  try {
    // Node replaces what is not UTF-8, and then Müller and Möller are one name.
    const damaged = argv.find((word) => word.includes('\uFFFD'))
    if (damaged !== undefined) throw usageFailure(`not UTF-8: ${damaged} (set the terminal to UTF-8)`)
    await program.parseAsync([...argv], { from: 'user' })
    return exitCodes.done
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage
    const failure = failureOf(error)
    if (failure === undefined) throw error
    note(io, `martillo: ${failure.message}`)
    if (argv.includes('--json') && failure.facts.code !== undefined)
      printJson(io, { event: 'failed', message: failure.message, ...failure.facts })
    return failure.exitCode
  }
}
