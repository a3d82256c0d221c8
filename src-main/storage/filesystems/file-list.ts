/** The files of a file system, as a parser finds them. */
import { AppError } from '../../../src-shared/errors/app-error.ts'

export interface FoundFile {
  /** Bytes. */
  size: number
  /** Is another one when the file was written, or replaced. */
  stamp: string
}

export interface FileList {
  kind: 'ext' | 'fat'
  /** Of the volume; '' without one. */
  label: string
  /** By path, from the root, with "/" between names. Files, links and devices; not the folders they are in. */
  files: Map<string, FoundFile>
  /** What is to be known of it, as a sentence; null: nothing. */
  note: string | null
}

/** Of one file system. */
const MAX_FILES = 250_000
export const MAX_DEPTH = 128
/** Characters of all paths together, which are kept in memory. */
const MAX_CHARACTERS = 64 * 1024 * 1024
/** Characters of a path. */
export const MAX_PATH = 8192
/** Entries of folders, and blocks of them and of what maps them, that are read altogether. */
const MAX_STEPS = 2_000_000

/** Counts work, so that a file system that is made up cannot ask for more than a real one does. */
export class WorkLimit {
  #steps = 0
  #signal: AbortSignal

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  /** @throws AppError `unsupported`, or why it is to end */
  step(): void {
    this.#signal.throwIfAborted()
    if (++this.#steps > MAX_STEPS) throw new AppError('unsupported', 'The file system has too many folders to be looked through.')
  }
}

/** What a parser has found so far. */
export class FoundFiles {
  readonly files: FileList['files'] = new Map()
  #characters = 0

  /** @throws AppError `unsupported` where there are too many */
  add(path: string, file: FoundFile): void {
    this.#characters += path.length
    if (this.files.size >= MAX_FILES || this.#characters > MAX_CHARACTERS)
      throw new AppError(
        'unsupported',
        `The file system has too many files to be listed (more than ${this.files.size.toLocaleString('en')}).`,
      )
    this.files.set(path, file)
  }
}
