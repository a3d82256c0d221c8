/**
 * The host's log: one line an entry, in one file of limited size with one predecessor. Entries are rare (never per frame or per block) and
 * are written at once, so that the last line before a crash is there.
 *
 * The variable COPPICE_LOG is a comma-separated list: `stderr` also prints every line, `<area>=<level>` sets the least level of one area
 * (`info`, `warn`, `error`, `off`); areas not named log everything.
 */
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'

/** Bytes after which a log file becomes the old one; the log takes at most twice that. */
export const MAX_LOG_BYTES = 2 * 1024 * 1024
/** Characters of one line; the rest is cut, so that one entry cannot push out all the others. */
const MAX_LINE = 16 * 1024
export const LOG_FILE = 'coppice.log'
export const OLD_LOG_FILE = 'coppice.1.log'

const LEVELS = ['info', 'warn', 'error', 'off'] as const
type Level = Exclude<(typeof LEVELS)[number], 'off'>
type Fields = Record<string, unknown>

export interface Log extends Disposable {
  /** @param area what is speaking: "library", "machines"; @param fields values worth searching for; an Error is written with its cause */
  info(area: string, text: string, fields?: Fields): void
  warn(area: string, text: string, fields?: Fields): void
  error(area: string, text: string, fields?: Fields): void
}

/**
 * @param folder where the log files are (made when missing), null for none
 * @param wish the value of COPPICE_LOG
 */
export function createLog(folder: string | null, wish = process.env['COPPICE_LOG'] ?? ''): Log {
  const words = wish.split(',').map((word) => word.trim())
  const levels = new Map(words.filter((word) => word.includes('=')).map((word) => word.split('=', 2) as [string, string]))
  const toStderr = words.includes('stderr')
  let file = folder === null ? null : openLogFile(folder)

  const write = (level: Level, area: string, text: string, fields?: Fields): void => {
    const least = LEVELS.indexOf((levels.get(area) ?? 'info') as (typeof LEVELS)[number])
    if (LEVELS.indexOf(level) < least) return
    const line = logLine(new Date(), level, area, text, fields)
    if (toStderr) process.stderr.write(line)
    file?.append(line)
  }
  return {
    info: (area, text, fields) => write('info', area, text, fields),
    warn: (area, text, fields) => write('warn', area, text, fields),
    error: (area, text, fields) => write('error', area, text, fields),
    dispose: () => {
      file?.close()
      file = null
    },
  }
}

/** `2026-11-21T02:00:00.000Z warn library: text {"field":1}`, one line whatever the text contains. */
export function logLine(at: Date, level: Level, area: string, text: string, fields?: Fields): string {
  const tail = fields && Object.keys(fields).length > 0 ? ` ${JSON.stringify(fields, plainError)}` : ''
  const line = `${at.toISOString()} ${level} ${area}: ${text}${tail}`
  // Names and guest output are hostile: no control character reaches a terminal that shows the log.
  const safe = line.replace(/\p{Cc}|[\u2028\u2029]/gu, (char) =>
    JSON.stringify(char)
      .slice(1, -1)
      .replace(/\p{Cc}|[\u2028\u2029]/gu, '?'),
  )
  return `${safe.length > MAX_LINE ? `${safe.slice(0, MAX_LINE)}…` : safe}\n`
}

function plainError(_key: string, value: unknown): unknown {
  if (value instanceof AppError) return value.toWire()
  if (value instanceof Error) return { message: value.message, stack: value.stack }
  if (typeof value === 'bigint') return String(value)
  return value
}

interface LogFile {
  /** A log that cannot be written must not stop what it tells about: the line is lost, and the next one is tried. */
  append(line: string): void
  close(): void
}

function openLogFile(folder: string): LogFile | null {
  const path = join(folder, LOG_FILE)
  /** Null where it could not be opened again after it was put aside. */
  let fd: number | null = null
  let size = 0
  const open = (): void => {
    fd = openSync(path, 'a', 0o600)
    size = fstatSync(fd).size
  }
  try {
    mkdirSync(folder, { recursive: true })
    open()
  } catch {
    return null
  }
  return {
    append(line) {
      try {
        const bytes = Buffer.from(line)
        if (fd !== null && size > 0 && size + bytes.length > MAX_LOG_BYTES) {
          closeSync(fd)
          fd = null
          renameSync(path, join(folder, OLD_LOG_FILE))
        }
        if (fd === null) open()
        size += writeSync(fd!, bytes)
      } catch {
        // As on a full disk.
      }
    },
    close: () => {
      if (fd !== null) closeSync(fd)
      fd = null
    },
  }
}
