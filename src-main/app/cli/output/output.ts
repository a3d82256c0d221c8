/** What commands print. Results go to standard output, everything about them to standard error. */
import { styleText } from 'node:util'
import { formatTable, type Column } from './table.ts'
import { oneLine, printable } from './text.ts'

type Style = Parameters<typeof styleText>[0]

export class Output {
  /** Results are JSON. */
  readonly json: boolean

  constructor(json: boolean) {
    this.json = json
  }

  /** A command's result: `value` with --json, else what `people` prints. */
  result(value: unknown, people: () => void): void {
    if (this.json) write(process.stdout, JSON.stringify(value, null, 2))
    else people()
  }

  /** One of many results: a line of JSON with --json. */
  record(value: unknown, people: () => string): void {
    write(process.stdout, this.json ? JSON.stringify(value) : people())
  }

  line(text: string): void {
    write(process.stdout, printable(text))
  }

  /** "key  value" lines; a value's further lines stand below its first. */
  facts(facts: readonly (readonly [key: string, value: string])[]): void {
    const width = Math.max(...facts.map(([key]) => key.length))
    for (const [key, value] of facts) this.line(`${key.padEnd(width)}  ${value.replaceAll('\n', `\n${' '.repeat(width + 2)}`)}`)
  }

  table<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): void {
    for (const line of formatTable(rows, columns, (text) => this.style('bold', text))) write(process.stdout, line)
  }

  /** For people only, beside the result. */
  note(text: string): void {
    write(process.stderr, printable(text))
  }

  /** The one sentence of a failure. */
  error(sentence: string): void {
    write(process.stderr, `${styleText('red', 'coppice:', { stream: process.stderr })} ${oneLine(sentence)}`)
  }

  /** Coloured where standard output is a terminal that wants it (NO_COLOR is honoured). The text has to be printable already. */
  style(style: Style, text: string): string {
    return styleText(style, text, { stream: process.stdout })
  }
}

function write(stream: NodeJS.WriteStream, text: string): void {
  stream.write(`${text}\n`)
}
