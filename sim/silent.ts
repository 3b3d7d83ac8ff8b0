/**
 * A logger that writes nothing, and counters that count nothing.
 *
 * Invariant: code under test behaves the same with them; the simulator counts from outside.
 */
import type { Logger } from '../runtime/logger.ts'

export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent }
export const noCount = { add(): void {} }
export const noMeasure = { observe(): void {} }
