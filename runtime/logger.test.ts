import { describe, expect, test } from 'vitest'
import { createLogger, redactedFields, silentLogger } from './logger.ts'

function capture(level: 'debug' | 'info') {
  const lines: Record<string, unknown>[] = []
  const logger = createLogger({
    level,
    role: 'test',
    destination: { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) },
  })
  return { logger, lines }
}

describe('log lines', () => {
  test('LOG1 a line is JSON with its level, time, role, event and facts', () => {
    const { logger, lines } = capture('info')
    logger.child({ groupId: 3 }).info('service_started', { service: 'server' })
    expect(lines[0]).toMatchObject({
      level: 'info',
      role: 'test',
      event: 'service_started',
      service: 'server',
      groupId: 3,
    })
    expect(String(lines[0]?.['time'])).toMatch(/^\d{4}-\d\d-\d\dT/)
  })

  test('LOG2 lines below the level are left out', () => {
    const { logger, lines } = capture('info')
    logger.debug('detail')
    logger.warn('odd')
    logger.error('broken', { error: new Error('why') })
    expect(lines.map(({ event }) => event)).toEqual(['odd', 'broken'])
    expect(lines[1]).toMatchObject({ error: { message: 'why' } })
    silentLogger.child({}).error('nothing')
  })

  test('LOG3 secrets do not reach the output, at the top level or one below', () => {
    const { logger, lines } = capture('debug')
    for (const field of redactedFields) {
      logger.info('leak', { [field]: 'hunter2', below: { [field]: 'hunter2' } })
      const line = lines.at(-1)
      expect(line?.[field]).toBe('[secret]')
      expect(JSON.stringify(line)).not.toContain('hunter2')
    }
  })
})
