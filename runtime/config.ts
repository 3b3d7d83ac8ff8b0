/**
 * The settings of a process, each declared once.
 * A declaration is a zod schema, a line of doc, and whether the value is secret. From it come the environment
 * variable, the command-line override, the check and the listing.
 * Invariant: a loaded configuration has passed every check and every rule over several settings. A `MARTILLO_…`
 * variable that no section declares is an error. Secrets are never printed.
 * Source: docs/style.md, "Configuration"; docs/spec.md CONFIG1 to CONFIG7.
 */
import { z } from 'zod'

export interface Setting {
  /** One of the kinds below; `.refine` adds a check, and `.default` or `.optional` says what holds if it is not set. */
  readonly is: z.ZodDefault<z.ZodType> | z.ZodOptional<z.ZodType>
  readonly doc: string
  /** Name of the variable, where it is not derived from the key (settings that others named, `SQS_QUEUE_URL`). */
  readonly env?: string
  readonly secret?: boolean
}

export const text = () => z.string().min(1)
export const integer = (min: number, max: number) => z.int().min(min).max(max)
export const flag = () => z.boolean()
export const choice = <const Choice extends string>(choices: readonly Choice[]) => z.enum(choices)
/** Texts separated by commas. The check is of each entry. */
export const list = (isEntry: (entry: string) => boolean = () => true, message = '') =>
  z.array(z.string().refine(isEntry, message)).readonly()

/** For `refine`: an http or https address. */
export const isHttpUrl = (value: string): boolean => /^https?:\/\//.test(value) && URL.canParse(value)

export type Settings = Readonly<Record<string, Setting>>

/** A section's loaded values. */
export type ConfigOf<All extends Settings> = { readonly [Key in keyof All]: z.output<All[Key]['is']> }

/** A rule over several settings: which combination is refused, and why. */
export interface ConfigRule<All extends Settings> {
  readonly reason: string
  holds(config: ConfigOf<All>): boolean
}

export interface ConfigSection<All extends Settings = Settings> {
  readonly name: string
  readonly settings: All
  readonly rules: readonly ConfigRule<All>[]
}

export type ConfigSections = Readonly<Record<string, ConfigSection>>

/** Declares a section. Keys are camelCase with the unit last (`bodyBytesMax`). */
export function configSection<const All extends Settings>(
  name: string,
  settings: All,
  rules: readonly ConfigRule<All>[] = [],
): ConfigSection<All> {
  return { name, settings, rules }
}

/** `bodyBytesMax` → `MARTILLO_BODY_BYTES_MAX`, unless the setting names its own variable. */
export function variableOf(key: string, setting: Setting): string {
  return setting.env ?? `MARTILLO_${key.replace(/[A-Z]/g, (capital) => `_${capital}`).toUpperCase()}`
}

/** The variables of all sections. */
export function variablesOf(sections: ConfigSections): string[] {
  return Object.values(sections).flatMap(({ settings }) =>
    Object.entries(settings).map(([key, setting]) => variableOf(key, setting)),
  )
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code = 'config_invalid'
  readonly retryable = false
  /** One line for each fault, for the person who started the process. */
  readonly faults: readonly string[]
  constructor(faults: readonly string[]) {
    super(faults.join('\n'))
    this.faults = faults
  }
}

/** Where values come from; an override (a command-line option) wins over the environment, that over the default. */
export interface ConfigSources {
  readonly env: Readonly<Record<string, string | undefined>>
  /** By key, for every section that declares it. */
  readonly overrides?: Readonly<Record<string, unknown>>
  /** Further `MARTILLO_…` variables, which are for other commands. */
  readonly known?: readonly string[]
}

export type LoadedConfig<All extends ConfigSections> = {
  readonly [Name in keyof All]: All[Name] extends ConfigSection<infer One> ? ConfigOf<One> : never
}

/**
 * Loads the sections of one process. Sections may share a key (host, data folder) when they declare it alike.
 * Throws `ConfigError` with every fault at once.
 */
export function loadConfig<const All extends ConfigSections>(
  sections: All,
  sources: ConfigSources,
): LoadedConfig<All> {
  const faults: string[] = []
  const loaded = Object.entries(sections).map(([name, section]) => [name, load(section, sources, faults)])
  faults.push(...undeclared(sections, sources))
  if (faults.length > 0) throw new ConfigError([...new Set(faults)])
  return Object.fromEntries(loaded) as LoadedConfig<All>
}

/** The values of one section, or undefined and why not in `faults`. */
function load({ name, settings, rules }: ConfigSection, sources: ConfigSources, faults: string[]): unknown {
  const given = givenFor(settings, sources)
  const shape = Object.fromEntries(Object.entries(settings).map(([key, { is }]) => [key, is]))
  const values = Object.entries(given).map(([key, { value }]) => [key, value])
  const { success, data, error } = z.object(shape).safeParse(Object.fromEntries(values))
  if (success) {
    faults.push(...rules.filter((rule) => !rule.holds(data)).map(({ reason }) => `${name}: ${reason}`))
    return data
  }
  for (const { code, message, path } of error.issues) {
    const key = path[0] as string
    const setting = settings[key] as Setting
    const { where, shown } = given[key] as Given
    const not = setting.secret === true ? '' : `, not ${JSON.stringify(shown)}`
    faults.push(`${where} ${code === 'custom' ? message : dueInWords(setting)}${not}`)
  }
  return undefined
}

interface Given {
  readonly value: unknown
  /** Names the source in a fault. */
  readonly where: string
  readonly shown: unknown
}

/** What options and environment give for some settings, by key; text is already split or counted. */
function givenFor(settings: Settings, { env, overrides }: ConfigSources): Readonly<Record<string, Given>> {
  const given: Record<string, Given> = {}
  for (const [key, setting] of Object.entries(settings)) {
    const variable = variableOf(key, setting)
    const override = overrides?.[key]
    // An empty variable counts as not set.
    const shown = override ?? (env[variable] || undefined)
    if (shown === undefined) continue
    const value = typeof shown === 'string' ? fromText(kindOf(setting), shown) : shown
    given[key] = { value, where: override === undefined ? variable : `option ${key}`, shown }
  }
  return given
}

/** Variables and options that no section declares. */
function undeclared(sections: ConfigSections, { env, overrides = {}, known = [] }: ConfigSources): string[] {
  const variables = new Set([...known, ...variablesOf(sections)])
  const keys = new Set(Object.values(sections).flatMap(({ settings }) => Object.keys(settings)))
  const misspelt = Object.keys(env).filter((name) => name.startsWith('MARTILLO_') && !variables.has(name))
  return [
    ...misspelt.map((name) => {
      const near = nearest(name, variables)
      return `${name} is not a setting${near === undefined ? '' : `; did you mean ${near}?`}`
    }),
    ...Object.keys(overrides)
      .filter((key) => !keys.has(key))
      .map((key) => `option ${key} is not a setting`),
  ]
}

/** What `check-config` prints of one setting. */
export interface ConfigLine {
  readonly section: string
  readonly key: string
  readonly variable: string
  readonly doc: string
  /** Kind with range or choices, in words. */
  readonly kind: string
  /** As text; secrets are `[secret]` when set. Absent: not set. */
  readonly value?: string
  readonly default?: string
}

/** Each setting with its variable, meaning and (where `loaded` is given) its value, secrets masked. */
export function describeConfig(
  sections: ConfigSections,
  loaded?: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
): readonly ConfigLine[] {
  return Object.entries(sections).flatMap(([name, section]) =>
    Object.entries(section.settings).map(([key, setting]) => {
      const value = loaded?.[name]?.[key]
      const standard = setting.is.parse(undefined)
      return {
        section: section.name,
        key,
        variable: variableOf(key, setting),
        doc: setting.doc,
        kind: kindInWords(setting),
        ...(value === undefined ? {} : { value: setting.secret === true ? '[secret]' : String(value) }),
        ...(standard === undefined ? {} : { default: String(standard) }),
      }
    }),
  )
}

/** The schema without its default. */
function kindOf({ is }: Setting): unknown {
  let kind: unknown = is
  while (kind instanceof z.ZodDefault || kind instanceof z.ZodOptional || kind instanceof z.ZodReadonly)
    kind = kind.unwrap()
  return kind
}

const flags: Readonly<Record<string, boolean>> = { true: true, 1: true, false: false, 0: false }

/** The value of a text. Text that fits no value stays as it is, and the schema refuses it. */
function fromText(kind: unknown, given: string): unknown {
  if (kind instanceof z.ZodNumber) return /^-?\d+$/.test(given) ? Number(given) : given
  if (kind instanceof z.ZodBoolean) return flags[given] ?? given
  if (!(kind instanceof z.ZodArray)) return given
  return given.split(',').flatMap((entry) => entry.trim() || [])
}

function kindInWords(setting: Setting): string {
  const kind = kindOf(setting)
  if (kind instanceof z.ZodNumber) return `integer from ${kind.minValue} to ${kind.maxValue}`
  if (kind instanceof z.ZodBoolean) return 'true or false'
  if (kind instanceof z.ZodEnum) return `one of ${kind.options.join(', ')}`
  return kind instanceof z.ZodArray ? 'texts separated by commas' : 'text'
}

function dueInWords(setting: Setting): string {
  const kind = kindInWords(setting)
  return `must be ${kind.startsWith('integer') ? 'an ' : ''}${kind}`
}

/** The declared variable within two edits of a misspelt one. */
function nearest(variable: string, declared: ReadonlySet<string>): string | undefined {
  let best: string | undefined
  let bestDistance = 3
  for (const candidate of declared) {
    const distance = editDistance(variable, candidate)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Levenshtein distance, row by row. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(substitution, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}
