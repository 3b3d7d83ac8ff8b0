import { describe, expect, test } from 'vitest'
import { InvariantError } from './assert.ts'
import { createMetrics } from './metrics.ts'

describe('metrics', () => {
  test('METRIC1 every series is there at zero before anything happened', async () => {
    const metrics = createMetrics({ withProcess: false })
    metrics.counter({ name: 'martillo_test_total', help: 'h', labels: { code: ['a', 'b'] } })
    metrics.gauge({ name: 'martillo_test_bytes', help: 'h' })
    metrics.histogram({ name: 'martillo_test_seconds', help: 'h', buckets: [1, 2] })
    const text = await metrics.text()
    expect(text).toContain('martillo_test_total{code="a"} 0')
    expect(text).toContain('martillo_test_total{code="b"} 0')
    expect(text).toContain('martillo_test_bytes 0')
    expect(text).toContain('martillo_test_seconds_count 0')
    expect(text).toContain('martillo_test_seconds_bucket{le="2"} 0')
    expect(metrics.contentType).toContain('text/plain')
  })

  test('METRIC2 a label value that was not declared counts as other, so input cannot grow the series', async () => {
    const metrics = createMetrics({ withProcess: false })
    const counter = metrics.counter({ name: 'martillo_test_total', help: 'h', labels: { code: ['a'] } })
    for (let at = 0; at < 1000; at += 1) counter.add(1, { code: `made-up-${at}` })
    counter.add(2, { code: 'a' })
    const series = (await metrics.text()).split('\n').filter((line) => line.startsWith('martillo_test_total'))
    expect(series).toEqual(['martillo_test_total{code="a"} 2', 'martillo_test_total{code="other"} 1000'])
  })

  test('METRIC3 a name without its unit, or not of the house, is refused', () => {
    const metrics = createMetrics({ withProcess: false })
    expect(() => metrics.counter({ name: 'martillo_bids', help: 'h' })).toThrow(InvariantError)
    expect(() => metrics.gauge({ name: 'martillo_memory', help: 'h' })).toThrow(InvariantError)
    expect(() => metrics.histogram({ name: 'latency_seconds', help: 'h' })).toThrow(InvariantError)
    expect(() => metrics.counter({ name: 'martillo_Bids_total', help: 'h' })).toThrow(InvariantError)
  })

  test('METRIC4 a gauge with a reader shows the value of the moment it is asked', async () => {
    const metrics = createMetrics({ withProcess: false })
    let value = 1
    metrics.gauge({ name: 'martillo_test_sockets', help: 'h', read: () => value })
    const set = metrics.gauge({ name: 'martillo_test_ratio', help: 'h', labels: { kind: ['x'] } })
    set.set(0.5, { kind: 'x' })
    expect(await metrics.text()).toContain('martillo_test_sockets 1')
    value = 7
    expect(await metrics.text()).toContain('martillo_test_sockets 7')
    expect(await metrics.text()).toContain('martillo_test_ratio{kind="x"} 0.5')
    expect(await createMetrics({ withProcess: true }).text()).toContain('process_cpu_seconds_total')
  })
})
