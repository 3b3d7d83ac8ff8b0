/**
 * `martillo check-config`: every setting of a role with its meaning and value.
 * Where the settings are wrong, it reports all their faults.
 * Invariant: it lists the declarations that the role itself loads, and prints no secret.
 * Source: docs/spec.md CONFIG5, CONFIG6.
 */
import { describeConfig, loadConfig } from '../../runtime/config.ts'
import { knownVariables, type RoleName, roles } from '../table.ts'
import { print, type Shell } from './shell.ts'

/** Rejects with ConfigError. */
export async function checkConfig(
  name: RoleName,
  options: { readonly json?: true },
  shell: Shell,
): Promise<void> {
  const { sections } = await roles[name].load()
  const loaded = loadConfig(sections, { env: shell.io.env, known: await knownVariables() })
  for (const line of describeConfig(sections, loaded)) {
    const { variable, value = '', doc, kind } = line
    const given = line.value === line.default ? '' : ` (default ${line.default ?? 'none'})`
    print(shell, options, { text: `${variable}=${value}${given}\n    ${doc} [${kind}]`, facts: line })
  }
}
