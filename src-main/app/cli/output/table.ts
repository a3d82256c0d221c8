/** Columns of text, as wide as their widest cell, two spaces apart; the last one as it is. */
import { oneLine } from './text.ts'

export interface Column<Row> {
  title: string
  cell: (row: Row) => string
  align?: 'right'
  /** Colours a cell after it was padded. */
  style?: (padded: string, row: Row) => string
}

/** @returns lines, the heading first; characters are counted as code points */
export function formatTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  heading: (text: string) => string = (text) => text,
): string[] {
  const cells = rows.map((row) => columns.map((column) => oneLine(column.cell(row))))
  const widths = columns.map((column, at) => Math.max(width(column.title), ...cells.map((line) => width(line[at]!))))
  const pad = (text: string, at: number): string => {
    const space = ' '.repeat(widths[at]! - width(text))
    if (columns[at]!.align === 'right') return space + text
    return at === columns.length - 1 ? text : text + space
  }
  const head = heading(columns.map((column, at) => pad(column.title, at)).join('  '))
  const body = rows.map((row, line) => columns.map(({ style }, at) => (style ?? same)(pad(cells[line]![at]!, at), row)).join('  '))
  return [head, ...body]
}

function same(text: string): string {
  return text
}

function width(text: string): number {
  return [...text].length
}
