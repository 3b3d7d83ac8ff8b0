/**
 * `martillo cluster-secret` makes the secret of a cluster, `martillo health-token` prints what follows from it.
 *
 * The other verbs take their token from here. Invariant: a file that exists is never overwritten, and a new one is its
 * owner's alone (0600); the secret is printed only where no file was named. Source: docs/spec.md PEER18, HEALTH1.
 */
import { open } from 'node:fs/promises'
import { ConfigError, loadConfig } from '../../runtime/config.ts'
import { newSecretText } from '../../wire/proof.ts'
import { healthTokensOf, roleSection, SettingFileError, secretSection, secretsOf } from '../settings.ts'
import { knownVariables } from '../table.ts'
import { print, type Shell } from './shell.ts'

interface SecretOptions {
  readonly file?: string
  readonly json?: true
}

export async function makeSecret(options: SecretOptions, shell: Shell): Promise<void> {
  const { file } = options
  const secret = newSecretText()
  if (file === undefined) {
    print(shell, options, { text: secret, facts: { event: 'secret_made', secret } })
    return
  }
  try {
    const handle = await open(file, 'wx', 0o600)
    await handle.writeFile(`${secret}\n`)
    await handle.sync()
    await handle.close()
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === 'EEXIST' ? 'it exists already' : String(cause)
    throw new SettingFileError(`cannot make ${file}: ${why}`, { cause })
  }
  print(shell, options, { text: `The cluster secret is in ${file}`, facts: { event: 'secret_made', file } })
}

export async function showHealthToken(options: { readonly json?: true }, shell: Shell): Promise<void> {
  const token = await healthTokenOf(shell)
  if (token === undefined) {
    throw new ConfigError([
      'there is no secret: set MARTILLO_CLUSTER_SECRET_FILE, MARTILLO_CLUSTER_SECRET or MARTILLO_HEALTH_TOKEN',
    ])
  }
  print(shell, options, { text: token, facts: { event: 'health_token', token } })
}

/** What opens the health ports of the cluster, by the environment; undefined where nothing is set. */
export async function healthTokenOf({ io }: Shell): Promise<string | undefined> {
  const sections = { process: roleSection, secret: secretSection }
  const config = loadConfig(sections, { env: io.env, known: await knownVariables(), overrides: {} })
  return healthTokensOf(config.process, await secretsOf(config.secret))[0]
}

export function bearerOf(token: string | undefined): Readonly<Record<string, string>> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` }
}
