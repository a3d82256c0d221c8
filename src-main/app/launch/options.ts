/** What `npm start` is told behind its `--`. */
import path from 'node:path'
import { parseArgs } from 'node:util'
import { AppError } from '../../../src-shared/errors/app-error.ts'

export interface LaunchOptions {
  /** Print the address instead of opening a window. */
  serve: boolean
  library: string | null
  /** 0: any free one. */
  port: number
  allowTerminal: boolean
}

export const USAGE = 'Usage: npm start -- [--serve] [--library DIR] [--port N] [--allow-terminal]'

/** @throws AppError `invalid-input` with what is wrong */
export function parseLaunchOptions(args: readonly string[]): LaunchOptions {
  const wrong = (sentence: string): AppError => AppError.invalid([{ path: '', message: `${sentence} ${USAGE}` }])
  let values
  try {
    values = parseArgs({
      args: [...args],
      options: {
        serve: { type: 'boolean', default: false },
        library: { type: 'string' },
        port: { type: 'string', default: '0' },
        'allow-terminal': { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    throw wrong(`${(error as Error).message.split('. ', 1)[0]}.`)
  }
  if (!/^\d{1,5}$/.test(values.port) || Number(values.port) > 65_535)
    throw wrong(`“${values.port}” is not a port: a port is a number from 0 to 65535.`)
  if (values.library === '') throw wrong('The library’s folder is missing.')
  return {
    serve: values.serve,
    library: values.library === undefined ? null : path.resolve(values.library),
    port: Number(values.port),
    allowTerminal: values['allow-terminal'],
  }
}
