import { describe, expect, test } from 'vitest'
import {
  ConfigError,
  choice,
  configSection,
  describeConfig,
  flag,
  integer,
  list,
  loadConfig,
  text,
  variableOf,
} from './config.ts'

const section = configSection(
  'sample',
  {
    port: { is: integer(0, 65_535).default(8080), doc: 'Port to listen on' },
    bodyBytesMax: { is: integer(1, 100).default(50), doc: 'Bytes of a body' },
    isOpen: { is: flag().default(true), doc: 'Whether it is open' },
    level: { is: choice(['low', 'high']).default('low'), doc: 'How much' },
    names: { is: list((name) => name !== 'bad', 'must be good').default([]), doc: 'Names' },
    apiKey: {
      is: text()
        .refine((key) => key.length >= 4, 'is too short')
        .optional(),
      secret: true,
      doc: 'A key',
    },
    queueUrl: { is: text().optional(), env: 'SQS_QUEUE_URL', doc: 'A queue' },
  },
  [{ reason: 'a high level needs a port of its own', holds: (c) => c.level !== 'high' || c.port !== 8080 }],
)

function faultsOf(env: Record<string, string>, overrides: Record<string, unknown> = {}): readonly string[] {
  try {
    loadConfig({ section }, { env, overrides })
    return []
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).faults
  }
}

describe('settings', () => {
  test('CONFIG1 an option overrides the environment, and that the default', () => {
    const plain = loadConfig({ section }, { env: {} }).section
    expect(plain).toEqual({
      port: 8080,
      bodyBytesMax: 50,
      isOpen: true,
      level: 'low',
      names: [],
      apiKey: undefined,
      queueUrl: undefined,
    })
    const env = {
      MARTILLO_PORT: '1',
      MARTILLO_NAMES: 'a, b,',
      MARTILLO_IS_OPEN: '0',
      SQS_QUEUE_URL: 'http://q',
    }
    const set = loadConfig({ section }, { env, overrides: { port: 2 } }).section
    expect(set).toMatchObject({ port: 2, names: ['a', 'b'], isOpen: false, queueUrl: 'http://q' })
    expect(loadConfig({ section }, { env: { MARTILLO_PORT: '' } }).section.port).toBe(8080)
    expect(loadConfig({ section }, { env: {}, overrides: { port: '0' } }).section.port).toBe(0)
  })

  test('CONFIG2 a value of the wrong kind or out of range is refused by name, with what was due', () => {
    expect(faultsOf({ MARTILLO_PORT: '70000' })).toEqual([
      'MARTILLO_PORT must be an integer from 0 to 65535, not "70000"',
    ])
    for (const port of ['1.5', '1e3', ' 1', '-1', 'x', '99999999999999999'])
      expect(faultsOf({ MARTILLO_PORT: port }), port).toHaveLength(1)
    expect(faultsOf({ MARTILLO_IS_OPEN: 'yes' })).toEqual([
      'MARTILLO_IS_OPEN must be true or false, not "yes"',
    ])
    expect(faultsOf({ MARTILLO_LEVEL: 'mid' })).toEqual([
      'MARTILLO_LEVEL must be one of low, high, not "mid"',
    ])
    expect(faultsOf({ MARTILLO_NAMES: 'a,bad' })).toEqual(['MARTILLO_NAMES must be good, not "a,bad"'])
    expect(faultsOf({}, { level: 7 })).toEqual(['option level must be one of low, high, not 7'])
  })

  test('CONFIG3 all faults come at once, cross-field rules with their reason', () => {
    expect(faultsOf({ MARTILLO_PORT: 'x', MARTILLO_LEVEL: 'y' })).toHaveLength(2)
    expect(faultsOf({ MARTILLO_LEVEL: 'high' })).toEqual(['sample: a high level needs a port of its own'])
  })

  test('CONFIG4 an unknown MARTILLO_ variable is an error that names the nearest setting', () => {
    expect(faultsOf({ MARTILLO_PROT: '1' })).toEqual([
      'MARTILLO_PROT is not a setting; did you mean MARTILLO_PORT?',
    ])
    expect(faultsOf({ MARTILLO_SOMETHING_ELSE: '1' })).toEqual(['MARTILLO_SOMETHING_ELSE is not a setting'])
    expect(faultsOf({}, { prot: 1 })).toEqual(['option prot is not a setting'])
    expect(faultsOf({ OTHER_PORT: '1' })).toEqual([])
    const known = { env: { MARTILLO_URL: 'x' }, known: ['MARTILLO_URL'] }
    expect(loadConfig({ section }, known).section.port).toBe(8080)
  })

  test('CONFIG5 a secret is never printed, neither in the listing nor in a fault', () => {
    const loaded = loadConfig({ section }, { env: { MARTILLO_API_KEY: 'hunter22' } })
    const lines = describeConfig({ section }, loaded)
    expect(lines.find(({ key }) => key === 'apiKey')?.value).toBe('[secret]')
    expect(JSON.stringify(lines)).not.toContain('hunter22')
    expect(faultsOf({ MARTILLO_API_KEY: 'abc' })).toEqual(['MARTILLO_API_KEY is too short'])
  })

  test('CONFIG6 every setting has its variable, a line of doc and its range in the listing', () => {
    const lines = describeConfig({ section })
    expect(lines.map(({ variable }) => variable)).toEqual([
      'MARTILLO_PORT',
      'MARTILLO_BODY_BYTES_MAX',
      'MARTILLO_IS_OPEN',
      'MARTILLO_LEVEL',
      'MARTILLO_NAMES',
      'MARTILLO_API_KEY',
      'SQS_QUEUE_URL',
    ])
    expect(lines[0]).toEqual({
      section: 'sample',
      key: 'port',
      variable: 'MARTILLO_PORT',
      doc: 'Port to listen on',
      kind: 'integer from 0 to 65535',
      default: '8080',
    })
    expect(lines.every(({ doc }) => doc.length > 0)).toBe(true)
    expect(variableOf('queueUrl', section.settings.queueUrl)).toBe('SQS_QUEUE_URL')
  })

  test('CONFIG7 a section whose values are faulty is not held to its rules as well', () => {
    expect(faultsOf({ MARTILLO_LEVEL: 'high', MARTILLO_BODY_BYTES_MAX: '0' })).toEqual([
      'MARTILLO_BODY_BYTES_MAX must be an integer from 1 to 100, not "0"',
    ])
  })
})
