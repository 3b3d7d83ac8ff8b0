/**
 * Tuples stored by column, so that they pack well.
 *
 *   columns  [[length …], column 0, column 1 …]      a tuple too short for a column has no place in it
 *
 * The first fields of all tuples come first, then the second fields, and so on; a number is stored as its difference
 * from the last number of its column. Neighbouring tuples differ little, so columns pack into a fraction.
 * Invariant: `fromColumns(toColumns(tuples))` equals the tuples, whatever their lengths, for safe integers that are
 * not negative, texts, booleans and null.
 */
type Cell = number | string | boolean | null

export type Tuple = readonly unknown[]

export function toColumns(tuples: readonly Tuple[]): readonly (readonly unknown[])[] {
  const lengths: number[] = []
  const columns: unknown[][] = []
  const lasts: number[] = []
  for (const tuple of tuples) {
    lengths.push(tuple.length)
    for (let at = 0; at < tuple.length; at++) {
      const column = columns[at] ?? []
      columns[at] = column
      const cell = tuple[at]
      if (typeof cell === 'number') {
        column.push(cell - (lasts[at] ?? 0))
        lasts[at] = cell
      } else column.push(cell)
    }
  }
  return [lengths, ...columns]
}

/** Throws where the columns do not fit their lengths. */
export function fromColumns(value: unknown): Tuple[] {
  if (!Array.isArray(value) || !value.every(Array.isArray)) throw new Error('columns are lists')
  const [lengths = [], ...columns] = value as Cell[][]
  const places = columns.map(() => 0)
  const lasts = columns.map(() => 0)
  const tuples = lengths.map((length) => {
    const tuple: Cell[] = []
    for (let at = 0; at < Number(length); at++) {
      const cell = columns[at]?.[(places[at] as number)++]
      if (cell === undefined) throw new Error('a column is too short')
      if (typeof cell !== 'number') tuple.push(cell)
      else {
        lasts[at] = (lasts[at] as number) + cell
        tuple.push(lasts[at] as number)
      }
    }
    return tuple
  })
  if (places.some((place, at) => place !== columns[at]?.length)) throw new Error('a column is too long')
  return tuples
}
