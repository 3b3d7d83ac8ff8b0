/** A logger that says nothing, and counters that count nothing: what is counted here is counted from outside. */
import type { Logger } from '../runtime/logger.ts'

export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent }
export const noCount = { add(): void {} }
export const noMeasure = { observe(): void {} }
