/**
 * What a leader refuses before it proposes: commands that `apply` could not compute.
 *
 * `apply` ends a replica at a command that it cannot read or does not know, because going on would let it differ from
 * the others. In the log such a command would end every replica, and again at every start. Leaves rejections, which
 * depend on the state, to `apply`.
 *
 * Invariant: a command that passes here is encoded and decoded without loss, and names no feature that this build lacks;
 * what it is encoded to is what enters the log.
 * Source: docs/spec.md HOUSE2, STORE18.
 */
import { decodeCommand, encodeCommand } from './codec.ts'
import { type Command, commandCodes } from './commands.ts'
import type { Rejected } from './events.ts'
import { FeatureUnknownError, requireKnown } from './features.ts'
import { refuse } from './handlers/refuse.ts'
import type { Plain } from './plain.ts'
import { CodecError } from './plain-reader.ts'

/** The command as the log holds it, or the reply to one that must not enter the log. */
export function encodeForLog(command: Command): readonly Plain[] | Rejected {
  try {
    if (!Object.hasOwn(commandCodes, command.type)) return refuse('terms_invalid')
    const encoded = encodeCommand(command)
    decodeCommand(encoded)
    if (command.type === 'configure_house') requireKnown(command.features)
    return encoded
  } catch (error) {
    if (error instanceof CodecError || error instanceof FeatureUnknownError || error instanceof TypeError) {
      return refuse('terms_invalid')
    }
    throw error
  }
}
