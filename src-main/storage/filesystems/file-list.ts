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
export const MAX_FILES = 250_000
export const MAX_DEPTH = 128
/** Characters of a path. */
export const MAX_PATH = 8192
/** Blocks of folders, and of what maps them, that are read altogether. */
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

/** @throws AppError `unsupported` where there are too many */
export function addFile(files: FileList['files'], path: string, file: FoundFile): void {
  if (files.size >= MAX_FILES) throw new AppError('unsupported', `The file system has more than ${MAX_FILES.toLocaleString('en')} files.`)
  files.set(path, file)
}
