/**
 * `npm run types`: type-checks the whole project and, narrowed to no ambient types, each pure folder, where
 * `process`, timers and `node:*` are then compile errors (STYLE "Purity"). Exit code 1 when one fails.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const projects = [
  '.',
  'protocol',
  'state-cluster/machine',
  'state-cluster/raft',
  'clients/core',
  'clients/web',
]

let failed = false
for (const project of projects) {
  const { status } = spawnSync(
    process.execPath,
    ['node_modules/typescript/bin/tsc', '--noEmit', '-p', project],
    {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  )
  console.log(`${status === 0 ? 'ok  ' : 'FAIL'} types ${project}`)
  failed ||= status !== 0
}
process.exit(failed ? 1 : 0)
