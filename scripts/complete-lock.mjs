/**
 * `npm run lock`: completes package-lock.json after `npm install NAME`. A registry mirror that carries the native
 * packages of some platforms only makes npm leave the others out, and `npm ci` then refuses the file everywhere.
 * Writes the missing entries from what their owners declare (exact versions) and from their names (platform).
 * Invariant: every optional dependency of every locked package has an entry; entries that were there stay as
 * they are. A package that is written here has no checksum, because nobody here has seen its bytes.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const path = fileURLToPath(new URL('../package-lock.json', import.meta.url))
const lock = JSON.parse(readFileSync(path, 'utf8'))
const { packages } = lock

const systems = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32']
const processors = ['arm64', 'x64', 'arm', 'ia32', 'ppc64', 'riscv64', 's390x']

/** Platform of a native package, from the words of its name. */
function platformOf(name) {
  const words = name.split('/').at(-1).split('-')
  const os = systems.find((system) => words.includes(system))
  const cpu = processors.find((processor) => words.includes(processor))
  if (os === undefined || cpu === undefined) throw new Error(`the name of ${name} does not tell its platform`)
  const musl = words.some((word) => word.startsWith('musl'))
  const glibc = words.some((word) => word.startsWith('gnu'))
  return {
    os: [os],
    cpu: [cpu],
    ...(os === 'linux' && (musl || glibc) ? { libc: [musl ? 'musl' : 'glibc'] } : {}),
  }
}

/** The entry that a package's `require` of a name would find, nearest folder first. */
function found(owner, name) {
  for (let folder = owner; ; folder = folder.slice(0, folder.lastIndexOf('/node_modules/'))) {
    const entry = packages[`${folder}/node_modules/${name}`]
    if (entry !== undefined) return entry
    if (!folder.includes('/node_modules/')) return packages[`node_modules/${name}`]
  }
}

let added = 0
for (const [owner, { optionalDependencies = {}, dev }] of Object.entries({ ...packages })) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const entry = found(owner, name)
    if (entry !== undefined && (entry.version === version || !/^\d/.test(version))) continue
    const place = entry === undefined ? `node_modules/${name}` : `${owner}/node_modules/${name}`
    const nodeMajor = /^@uwsjs\/.*-(\d+)$/.exec(name)?.[1]
    packages[place] = {
      version,
      ...platformOf(name),
      ...(dev === true ? { dev } : {}),
      optional: true,
      ...(nodeMajor === undefined
        ? {}
        : { engines: { node: `>=${nodeMajor}.0.0 <${Number(nodeMajor) + 1}.0.0` } }),
    }
    added++
  }
}
lock.packages = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`)
console.log(`lock: ${added} entries of other platforms added`)
