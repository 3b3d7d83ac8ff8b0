/**
 * Settings: a role declares each one once (kind, default, range, a line of doc, whether it is secret) and gets the
 * environment variable, the command-line override, the printed documentation and the check from that declaration.
 * Invariant: a loaded configuration has passed every range and every cross-field rule; a `MARTILLO_…` variable
 * that no section declares is an error, so that a misspelt one is never silently ignored. Secrets are printed
 * masked. Only a process's `main.ts` reads the environment and hands it in. Source: docs/style.md, "Configuration".
 */

interface SettingBase<Value> {
  readonly doc: string
  /** Absent: the setting is optional and `undefined` unless given. */
  readonly default?: Value
  /** Name of the variable, where it is not derived from the key (settings that others named, `SQS_QUEUE_URL`). */
  readonly env?: string
  readonly secret?: boolean
}

export interface TextSetting extends SettingBase<string> {
  readonly kind: 'text'
  /** Why a value will not do, or `undefined`. */
  readonly fault?: (value: string) => string | undefined
}

export interface IntegerSetting extends SettingBase<number> {
  readonly kind: 'integer'
  readonly min: number
  readonly max: number
}

export interface BooleanSetting extends SettingBase<boolean> {
  readonly kind: 'boolean'
}

export interface ChoiceSetting<Choice extends string> extends SettingBase<Choice> {
  readonly kind: 'choice'
  readonly choices: readonly Choice[]
}

/** Texts separated by commas. */
export interface ListSetting extends SettingBase<readonly string[]> {
  readonly kind: 'list'
  /** Why an entry will not do, or `undefined`. */
  readonly fault?: (entry: string) => string | undefined
}

export type Setting = TextSetting | IntegerSetting | BooleanSetting | ChoiceSetting<string> | ListSetting
export type Settings = Readonly<Record<string, Setting>>

type ValueOf<One extends Setting> = One extends IntegerSetting
  ? number
  : One extends BooleanSetting
    ? boolean
    : One extends ChoiceSetting<infer Choice>
      ? Choice
      : One extends ListSetting
        ? readonly string[]
        : string

/** A section's loaded values: settings without a default may be `undefined`. */
export type ConfigOf<All extends Settings> = {
  readonly [Key in keyof All]: All[Key] extends { readonly default: unknown }
    ? ValueOf<All[Key]>
    : ValueOf<All[Key]> | undefined
}

/** A rule over several settings: which combination is refused, and why. */
export interface ConfigRule<All extends Settings> {
  readonly reason: string
  readonly holds: (config: ConfigOf<All>) => boolean
}

export interface ConfigSection<All extends Settings = Settings> {
  readonly name: string
  readonly settings: All
  readonly rules: readonly ConfigRule<All>[]
}

/** Declares a role's section. Keys are camelCase with the unit last (`bodyBytesMax`). */
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
export function variablesOf(sections: Readonly<Record<string, unknown>>): string[] {
  return Object.values(sections as Sections).flatMap(({ settings }) =>
    Object.entries(settings).map(([key, setting]) => variableOf(key, setting)),
  )
}

export class ConfigError extends Error {
  readonly code = 'config_invalid'
  readonly retryable = false
  /** One line per fault, in words for whoever started the process. */
  readonly faults: readonly string[]
  constructor(faults: readonly string[]) {
    super(faults.join('\n'))
    this.name = 'ConfigError'
    this.faults = faults
  }
}

/** Where values come from; an override (a command-line option) wins over the environment, that over the default. */
export interface ConfigSources {
  readonly env: Readonly<Record<string, string | undefined>>
  /** By key, for whichever section declares it. */
  readonly overrides?: Readonly<Record<string, unknown>>
  /** Further `MARTILLO_…` variables that are meant for other commands and so are no mistake. */
  readonly known?: readonly string[]
}

type Sections = Readonly<Record<string, ConfigSection<Settings>>>
export type LoadedConfig<All> = {
  readonly [Name in keyof All]: All[Name] extends ConfigSection<infer One> ? ConfigOf<One> : never
}

/**
 * Loads the sections of one process. Sections may share a key (host, data folder) when they declare it alike.
 * Throws `ConfigError` with every fault at once.
 */
export function loadConfig<const All extends Readonly<Record<string, unknown>>>(
  sections: All,
  sources: ConfigSources,
): LoadedConfig<All> {
  const faults: string[] = []
  const variables = new Set<string>(sources.known ?? [])
  const keys = new Set<string>()
  const loaded: Record<string, Record<string, unknown>> = {}
  for (const [name, section] of Object.entries(sections as Sections)) {
    const values: Record<string, unknown> = {}
    const before = faults.length
    for (const [key, setting] of Object.entries(section.settings)) {
      const variable = variableOf(key, setting)
      variables.add(variable)
      keys.add(key)
      const override = sources.overrides?.[key]
      const text = sources.env[variable]
      let read: Read = { value: setting.default }
      if (override !== undefined) read = readValue(setting, override, `option ${key}`)
      else if (text !== undefined && text !== '') read = readValue(setting, text, variable)
      if (read.fault !== undefined) faults.push(read.fault)
      values[key] = read.value
    }
    if (faults.length === before) {
      for (const rule of section.rules)
        if (!rule.holds(values as ConfigOf<Settings>)) faults.push(`${section.name}: ${rule.reason}`)
    }
    loaded[name] = values
  }
  for (const variable of Object.keys(sources.env)) {
    if (!variable.startsWith('MARTILLO_') || variables.has(variable)) continue
    const near = nearest(variable, variables)
    faults.push(`${variable} is not a setting${near === undefined ? '' : `; did you mean ${near}?`}`)
  }
  for (const key of Object.keys(sources.overrides ?? {}))
    if (!keys.has(key)) faults.push(`option ${key} is not a setting`)
  if (faults.length > 0) throw new ConfigError([...new Set(faults)])
  return loaded as LoadedConfig<All>
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
  sections: Readonly<Record<string, unknown>>,
  loaded?: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
): readonly ConfigLine[] {
  return Object.entries(sections as Sections).flatMap(([name, section]) =>
    Object.entries(section.settings).map(([key, setting]) => {
      const value = loaded?.[name]?.[key]
      return {
        section: section.name,
        key,
        variable: variableOf(key, setting),
        doc: setting.doc,
        kind: kindInWords(setting),
        ...(value === undefined ? {} : { value: setting.secret === true ? '[secret]' : inWords(value) }),
        ...(setting.default === undefined ? {} : { default: inWords(setting.default) }),
      }
    }),
  )
}

interface Read {
  readonly value?: unknown
  readonly fault?: string
}

/** A value given as text (environment) or already of its kind (an option). `where` names it in the fault. */
function readValue(setting: Setting, given: unknown, where: string): Read {
  const shown = setting.secret === true ? '' : `, not ${JSON.stringify(given)}`
  const refuse = (why: string): Read => ({ fault: `${where} ${why}` })
  switch (setting.kind) {
    case 'integer': {
      const value = typeof given === 'string' && /^-?\d{1,16}$/.test(given) ? Number(given) : given
      if (
        typeof value !== 'number' ||
        !Number.isSafeInteger(value) ||
        value < setting.min ||
        value > setting.max
      )
        return refuse(`must be an integer from ${setting.min} to ${setting.max}${shown}`)
      return { value }
    }
    case 'boolean': {
      if (given === true || given === 'true' || given === '1') return { value: true }
      if (given === false || given === 'false' || given === '0') return { value: false }
      return refuse(`must be true or false${shown}`)
    }
    case 'choice': {
      if (typeof given === 'string' && setting.choices.includes(given)) return { value: given }
      return refuse(`must be one of ${setting.choices.join(', ')}${shown}`)
    }
    case 'list': {
      const entries = typeof given === 'string' ? given.split(',').map((entry) => entry.trim()) : given
      if (!Array.isArray(entries) || !entries.every((entry) => typeof entry === 'string'))
        return refuse(`must be texts separated by commas${shown}`)
      const value = entries.filter((entry) => entry !== '')
      for (const entry of value) {
        const fault = setting.fault?.(entry)
        if (fault !== undefined) return refuse(`${fault}${shown}`)
      }
      return { value }
    }
    case 'text': {
      if (typeof given !== 'string' || given === '') return refuse(`must be text${shown}`)
      const fault = setting.fault?.(given)
      return fault === undefined ? { value: given } : refuse(`${fault}${shown}`)
    }
  }
}

function kindInWords(setting: Setting): string {
  switch (setting.kind) {
    case 'integer':
      return `integer from ${setting.min} to ${setting.max}`
    case 'boolean':
      return 'true or false'
    case 'choice':
      return `one of ${setting.choices.join(', ')}`
    case 'list':
      return 'texts separated by commas'
    case 'text':
      return 'text'
  }
}

function inWords(value: unknown): string {
  return Array.isArray(value) ? value.join(',') : String(value)
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
