/** One measured figure: what it is, its raw values, and what it is to be compared with, measured in the same run. */
export interface Figure {
  name: string
  /** Of the values and of the anchor's: "ms", "MB/s". */
  unit: string
  /** One for each repetition; reports give the median. */
  values: number[]
  anchor?: { name: string; values: number[] }
  /** What it should show, for people: "≤ 2000 ms". */
  target?: string
}
