/**
 * Who a certificate says that its process is.
 *
 *     URI:martillo:state:1          the state node 1                     (roles `peer` and `node`)
 *     URI:martillo:server:server-1  the server of this name              (`heartbeat` and `link`)
 *     URI:martillo:monitor:m1       the monitor of this name             (`monitor` and `link`)
 *     URI:martillo:tool:ops         an operator's command                (`link`)
 *
 * They are subject alternative names; `*` in place of a name grants the role under any name.
 * Invariant: only whole entries of type URI count; a name in the subject, or inside another entry, grants nothing.
 * Source: RFC 5280, 4.2.1.6; docs/spec.md PEER20.
 */
import { type Hello, principalOf, type Refusal } from './handshake.ts'

const prefix = 'martillo:'

/**
 * Of the subject alternative names as Node writes them: `URI:a, DNS:"b, c"`. Entries with unusual characters stand
 * in quotes there, as JSON.
 */
export function principalsOf(subjectAltName: string): readonly string[] {
  const principals: string[] = []
  const entry = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/y
  while (entry.lastIndex < subjectAltName.length) {
    const [, type, value = ''] = entry.exec(subjectAltName) ?? []
    // What does not have this form is not read any further.
    if (type === undefined) return []
    if (type === 'URI' && value.startsWith(prefix)) principals.push(value.slice(prefix.length))
  }
  return principals
}

/** Why a side with this hello is refused for its certificate. `principals` undefined: there is no TLS. */
export function judgeCertificate(
  theirs: Hello,
  principals: readonly string[] | undefined,
): Refusal | undefined {
  if (principals === undefined) return undefined
  const principal = principalOf(theirs)
  const [kind] = principal.split(':', 1)
  if (principals.includes(principal) || principals.includes(`${kind}:*`)) return undefined
  const granted = principals.length === 0 ? 'nobody' : principals.join(', ')
  return {
    code: 'wrong_certificate',
    reason: `its certificate is for ${granted}, and it says that it is ${principal}: it needs the subject alternative name URI:${prefix}${principal}`,
  }
}
